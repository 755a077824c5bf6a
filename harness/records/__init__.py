"""The run folder: plan, journals, evidence, manifest."""
