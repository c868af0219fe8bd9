"""Events may be gaps; data are written as UTF-8 from now on, which old rows need not be."""

from __future__ import annotations

from django.db import migrations, models

import provisioning.stored_json


class Migration(migrations.Migration):
    dependencies = [("provisioning", "0007_job_by_workspace_and_time")]

    operations = [
        migrations.AlterField(
            model_name="jobevent",
            name="kind",
            field=models.CharField(
                choices=[
                    ("job.state", "State"),
                    ("step.started", "Step Started"),
                    ("step.message", "Step Message"),
                    ("step.done", "Step Done"),
                    ("step.failed", "Step Failed"),
                    ("log.system", "System"),
                    ("log.output", "Output"),
                    ("layer", "Layer"),
                    ("cache.hit", "Cache Hit"),
                    ("log_gap", "Log Gap"),
                ],
                max_length=20,
            ),
        ),
        # Nothing changes in the database, and SQLite would copy a table that may be big.
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(
                    model_name="jobevent",
                    name="data",
                    field=models.JSONField(
                        default=dict, encoder=provisioning.stored_json.StoredJSON
                    ),
                ),
            ],
        ),
    ]
