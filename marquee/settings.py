"""Every setting in one place: its name, its default, and a line on what it does.

A setting is read from the environment (`MARQUEE_PORTS__AIRFLOW=8090`), else from `marquee.toml` beside this
project (`[ports]` / `airflow = 8090`), else it has the default below.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from marquee.errors import SettingsError

PROJECT = Path(__file__).resolve().parent.parent


class Group(BaseModel):
    """A table of `marquee.toml`; an unknown name in it is an error, not a silent nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Ports(Group):
    """Ports of the embedded services, all on 127.0.0.1."""

    airflow: int = Field(8080, ge=1, le=65535, description="Airflow's page and API")
    mlflow: int = Field(5000, ge=1, le=65535, description="MLflow's page and API")
    s3: int = Field(8333, ge=1, le=55535, description="the S3 server (and this + 10000 for gRPC)")
    s3_master: int = Field(9333, ge=1, le=55535, description="SeaweedFS master (and this + 10000 for gRPC)")
    s3_volume: int = Field(9340, ge=1, le=55535, description="SeaweedFS volume server (and this + 10000)")
    s3_filer: int = Field(8888, ge=1, le=55535, description="SeaweedFS filer (and this + 10000)")
    s3_admin: int = Field(9350, ge=1, le=55535, description="SeaweedFS admin (and this + 10000)")


class S3(Group):
    """The object store that holds the lake."""

    endpoint: str = Field("", description="URL of an S3 server that already runs; empty: the embedded SeaweedFS")
    region: str = Field("us-east-1", description="region that requests are signed for")
    bucket: str = Field("marquee", min_length=3, max_length=63, description="bucket of the lake")
    artifacts_bucket: str = Field("marquee-mlflow", min_length=3, max_length=63, description="bucket of MLflow")
    access_key: SecretStr = Field(SecretStr(""), description="access key of that server; empty: made once")
    secret_key: SecretStr = Field(SecretStr(""), description="secret key of that server; empty: made once")


class Mlflow(Group):
    """The MLflow server."""

    uri: str = Field("", description="URL of an MLflow server that already runs; empty: the embedded one")
    username: str = Field("admin", description="its user")
    password: SecretStr = Field(SecretStr(""), description="its password; empty: made once")
    experiment: str = Field("marquee", description="experiment of all runs")
    model: str = Field("marquee", description="name of the registered model")


class Airflow(Group):
    """Airflow and what it schedules."""

    url: str = Field("", description="URL of an Airflow that already runs; empty: the embedded one")
    username: str = Field("admin", description="its user")
    password: SecretStr = Field(SecretStr(""), description="its password; empty: made once")
    parallelism: int = Field(3, ge=1, le=64, description="tasks at once; each costs a process of about 130 MB")
    train_schedule: str = Field(
        "", description="cron of train_recommender beside its asset, as '0 3 * * *'; empty: none"
    )


class Spark(Group):
    """Spark, as the connection `spark_default` gives it to Airflow."""

    master: str = Field("local[*]", description="master URL")
    driver_memory: str = Field("1g", pattern=r"^\d+[kmg]$", description="heap of the driver")
    java_options: str = Field(
        "-Xss16m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        description="of the driver's JVM: a stack for the long plans of ALS, compiler and collector for short jobs; "
        "on large data '-Xss16m' alone, so that hot code is compiled fully",
    )
    jobs_at_once: int = Field(1, ge=1, description="candidates trained at once; each is a Spark application of its own")
    shuffle_partitions: int = Field(4, ge=1, description="partitions after a shuffle; about two a core")


class Gate(Group):
    """When a candidate becomes champion (`marquee.gate`)."""

    metric: str = Field("ndcg", description="of the lists of length k: ndcg, recall, precision, map, mrr or hit_rate")
    confidence: float = Field(0.95, gt=0, lt=1, description="of the intervals, over all candidates of a training")
    margin: float = Field(0.0, ge=0, description="loss against the champion that is taken for none (non-inferiority)")
    resamples: int = Field(2000, ge=100, description="draws of the bootstrap")
    seed: int = Field(42, description="of the bootstrap")
    min_coverage: float = Field(
        0.01,
        ge=0,
        le=1,
        description="share of the catalogue (or of the places, if fewer) in lists",
    )
    max_model_mb: int = Field(4000, ge=1, description="size of a model's files")
    max_segment_loss: float = Field(
        0.1, ge=0, description="share of the metric that light, medium or heavy users may lose"
    )
    min_leak_ratio: float = Field(
        1.1, ge=0, description="(1 - AUC of held-out items) / (1 - AUC of known ones); less of it looks like a leak"
    )


class Serving(Group):
    """The published tables."""

    k: int = Field(10, ge=1, le=1000, description="recommendations for each user")
    keep_releases: int = Field(
        5, ge=1, description="releases that stay, the newest ones; the current one and pinned ones stay besides"
    )
    postgres: str = Field(
        "",
        description="URL of a PostgreSQL that each release is copied into, as postgresql://user@host/database, "
        "without its password; empty: none",
    )
    postgres_password: SecretStr = Field(SecretStr(""), description="its password; empty: as libpq finds it")
    postgres_schema: str = Field(
        "marquee", pattern=r"^[a-z_][a-z0-9_]{0,30}$", description="schema of the current release there"
    )

    @field_validator("postgres")
    @classmethod
    def _names_a_database(cls, url: str) -> str:
        """A URL goes into logs and into the environment of all services; a password in it would, too."""
        if not url:
            return url
        try:
            parts = urlsplit(url)
        except ValueError:
            raise ValueError("it is no URL") from None
        if parts.password is not None or any("password" in name for name in parse_qs(parts.query)):
            raise ValueError("it holds a password, which would show in logs: give that as serving.postgres_password")
        if parts.scheme not in ("postgresql", "postgres"):
            raise ValueError("it is no URL of a PostgreSQL: write it as postgresql://user@host:5432/database")
        return url


class Publish(Group):
    """What a release has to keep to before it becomes the current one (`marquee.releases.checks`)."""

    min_coverage: float = Field(
        0.01, ge=0, le=1, description="share of the items (or of the places, if fewer) in lists"
    )
    max_popularity: float = Field(
        1.0,
        gt=0,
        description="mean ratings of recommended items, by those of the k most rated; 1: as popular as can be",
    )
    warn_jaccard: float = Field(0.2, ge=0, le=1, description="mean Jaccard with the release before; less is warned of")
    stop_jaccard: float = Field(0.01, ge=0, le=1, description="the same; less is not published without a person's word")
    warn_rbo: float = Field(0.2, ge=0, le=1, description="mean rank-biased overlap (p = 0.9); less is warned of")
    stop_rbo: float = Field(0.01, ge=0, le=1, description="the same; less is not published without a person's word")


class Settings(BaseSettings):
    """All settings. Shapes and defaults as in the groups above."""

    model_config = SettingsConfigDict(
        env_prefix="MARQUEE_",
        env_nested_delimiter="__",
        toml_file=PROJECT / "marquee.toml",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    var: Path = Field(PROJECT / "var", description="folder of all state: databases, objects, logs, releases")
    dags: Path = Field(PROJECT / "dags", description="folder of the DAG files")
    cache: Path = Field(
        Path(os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))) / "marquee",
        description="folder of downloaded data sets",
    )
    sources: Path = Field(PROJECT / "sources", description="folder of the TOML files that say how sources are read")
    ports: Ports = Ports()
    s3: S3 = S3()
    mlflow: Mlflow = Mlflow()
    airflow: Airflow = Airflow()
    spark: Spark = Spark()
    gate: Gate = Gate()
    serving: Serving = Serving()
    publish: Publish = Publish()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment before file, and nothing else."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @property
    def s3_endpoint(self) -> str:
        return self.s3.endpoint or f"http://127.0.0.1:{self.ports.s3}"

    @property
    def mlflow_uri(self) -> str:
        return self.mlflow.uri or f"http://127.0.0.1:{self.ports.mlflow}"

    @property
    def airflow_url(self) -> str:
        return self.airflow.url or f"http://127.0.0.1:{self.ports.airflow}"


def is_loopback(url: str) -> bool:
    """Whether a URL stays on this machine, where no proxy belongs between."""
    return urlsplit(url).hostname in {"127.0.0.1", "localhost", "::1"}


@cache
def settings() -> Settings:
    """The settings of this process, read once.

    Raises:
        SettingsError: a value is out of its range, or a name is unknown.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        # what was given may be a secret: one that is misspelt, or a URL that holds one
        may_be_secret = first["type"] in ("extra_forbidden", "value_error") or name.endswith(("password", "_key"))
        given = "" if may_be_secret else f"; got {first['input']!r}"
        raise SettingsError(
            f"Setting {name} is wrong ({first['msg']}{given}): "
            f"mend it in the environment (MARQUEE_{name.upper().replace('.', '__')}) or in {PROJECT / 'marquee.toml'}."
        ) from None
