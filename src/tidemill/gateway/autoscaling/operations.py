"""Application Auto Scaling, for the counts of endpoints' variants."""

from __future__ import annotations

from tidemill.gateway.autoscaling import policies, schedules, tags, targets
from tidemill.gateway.autoscaling.asked import one_at_a_time
from tidemill.gateway.call import Handler

OPERATIONS: dict[str, Handler] = {
    "DeleteScalingPolicy": one_at_a_time(policies.delete),
    "DeleteScheduledAction": one_at_a_time(schedules.delete),
    "DeregisterScalableTarget": one_at_a_time(targets.deregister),
    "DescribeScalableTargets": targets.describe,
    "DescribeScalingActivities": targets.describe_activities,
    "DescribeScalingPolicies": policies.describe,
    "DescribeScheduledActions": schedules.describe,
    "ListTagsForResource": tags.list_all,
    "PutScalingPolicy": one_at_a_time(policies.put),
    "PutScheduledAction": one_at_a_time(schedules.put),
    "RegisterScalableTarget": one_at_a_time(targets.register),
    "TagResource": tags.add,
    "UntagResource": tags.remove,
}
