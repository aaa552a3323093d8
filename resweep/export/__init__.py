"""Trials -> the forms that TensorBoard, W&B, MLflow and Comet have for runs. Nothing is sent anywhere."""
