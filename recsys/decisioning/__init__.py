"""One customer's state → candidates → ranking → scores → reasons."""
