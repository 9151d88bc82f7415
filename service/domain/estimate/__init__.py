"""What a training needs and costs before it runs: memory, disk, minutes, dollars, for each flavor. Pure arithmetic."""
