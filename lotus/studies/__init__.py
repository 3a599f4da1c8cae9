"""Many trainings: cross-validations, studies, and what they compare."""
