"""What every room uses: errors, files, params, the frame of a stage."""
