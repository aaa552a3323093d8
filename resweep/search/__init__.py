"""Search that learns: Optuna asks for points and stops trials early; each trial is a frozen capsule."""
