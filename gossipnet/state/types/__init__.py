"""The data types: merge rules only, one file each. They know dots and nothing of records."""
