"""The embedded services: SeaweedFS, MLflow and Airflow, run by honcho from the Procfile."""

from marquee.services.stack import Service, down, status, up

__all__ = ["Service", "down", "status", "up"]
