"""Application Auto Scaling, for the counts of endpoints' variants."""

from __future__ import annotations

from tidemill.gateway.autoscaling import policies, targets
from tidemill.gateway.autoscaling.asked import one_at_a_time
from tidemill.gateway.call import Handler

OPERATIONS: dict[str, Handler] = {
    "DeleteScalingPolicy": one_at_a_time(policies.delete),
    "DeregisterScalableTarget": one_at_a_time(targets.deregister),
    "DescribeScalableTargets": targets.describe,
    "DescribeScalingActivities": targets.describe_activities,
    "DescribeScalingPolicies": policies.describe,
    "PutScalingPolicy": one_at_a_time(policies.put),
    "RegisterScalableTarget": one_at_a_time(targets.register),
}
