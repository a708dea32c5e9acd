"""What is computed of a face by hand: geometry, SIFT, HOG; and disturbances."""
