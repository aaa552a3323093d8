"""What the rows of sweeps say as a whole: analyses, and the page and figures that show them."""
