"""CloudWatch: metrics of endpoints, of training jobs and of anybody, and alarms on them."""

from __future__ import annotations

from tidemill.gateway.call import Handler
from tidemill.gateway.cloudwatch import alarms, putting, reading

OPERATIONS: dict[str, Handler] = {
    "DeleteAlarms": alarms.delete_alarms,
    "DescribeAlarmHistory": alarms.describe_alarm_history,
    "DescribeAlarms": alarms.describe_alarms,
    "DescribeAlarmsForMetric": alarms.describe_alarms_for_metric,
    "DisableAlarmActions": alarms.disable_alarm_actions,
    "EnableAlarmActions": alarms.enable_alarm_actions,
    "GetMetricData": reading.get_metric_data,
    "GetMetricStatistics": reading.get_metric_statistics,
    "ListMetrics": reading.list_metrics,
    "PutMetricAlarm": alarms.put_metric_alarm,
    "PutMetricData": putting.put_metric_data,
    "SetAlarmState": alarms.set_alarm_state,
}
