"""Pipelines in Dagster: assets, checks, schedules and sensors. Users import `kepipe.flow.dagster`."""
