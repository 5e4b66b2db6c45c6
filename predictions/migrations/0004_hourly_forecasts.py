"""A refusal and an alarm for each frequency, and indexes that keep hours out of the way of days."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps


def forget_hourly_refusals(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Going back, a coin has room for one refusal; the next issue makes the others anew."""
    apps.get_model("predictions", "ForecastRefusal").objects.exclude(frequency="1d").delete()


class Migration(migrations.Migration):

    dependencies = [
        ('markets', '0005_sparkline_out_of_line'),
        ('predictions', '0003_seal_and_guard'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='forecastrefusal',
            options={'ordering': ('coin', 'frequency')},
        ),
        migrations.RemoveConstraint(
            model_name='modelalarm',
            name='alarm_open_once',
        ),
        migrations.RemoveIndex(
            model_name='prediction',
            name='prediction_coin_cutoff',
        ),
        migrations.RemoveIndex(
            model_name='prediction',
            name='prediction_horizon',
        ),
        migrations.RemoveIndex(
            model_name='prediction',
            name='prediction_settled',
        ),
        migrations.RenameField(model_name="modelalarm", old_name="horizon_days", new_name="horizon"),
        migrations.AddField(
            model_name='forecastrefusal',
            name='frequency',
            field=models.CharField(choices=[('1d', 'Daily'), ('1h', 'Hourly')], db_default='1d', default='1d', max_length=2),
        ),
        migrations.AlterField(
            model_name="modelalarm",
            name='horizon',
            field=models.PositiveSmallIntegerField(default=0, help_text='In days or hours, as the model forecasts from; 0: of no horizon in particular.'),
        ),
        migrations.AlterField(
            model_name='forecastrefusal',
            name='coin',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='forecast_refusals', to='markets.cryptocurrency'),
        ),
        migrations.AddIndex(
            model_name='prediction',
            index=models.Index(fields=['coin', 'frequency', '-cutoff_at', 'horizon_hours'], name='prediction_coin_issue'),
        ),
        migrations.AddIndex(
            model_name='prediction',
            index=models.Index(fields=['frequency', 'horizon_hours', 'cutoff_at'], name='prediction_at_horizon'),
        ),
        migrations.AddIndex(
            model_name='prediction',
            index=models.Index(fields=['frequency', 'state', 'scored_at'], name='prediction_scored'),
        ),
        migrations.AddConstraint(
            model_name='forecastrefusal',
            constraint=models.UniqueConstraint(fields=('coin', 'frequency'), name='refusal_once'),
        ),
        migrations.AddConstraint(
            model_name='modelalarm',
            constraint=models.UniqueConstraint(condition=models.Q(('resolved_at__isnull', True)), fields=('model', 'kind', 'horizon'), name='alarm_open_once'),
        ),
        migrations.RunPython(migrations.RunPython.noop, forget_hourly_refusals),
    ]
