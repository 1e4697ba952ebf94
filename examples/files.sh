#!/usr/bin/env bash
# The files job, step by step with the AWS CLI: somebody is denied files in \secret more than five times in a minute, and a
# mail says who, what, where and how often.
#
# Needs a server without a mail server of its own, and the environment that points at it:
#
#   export NIGHTBELL_DATA=$HOME/nightbell-data; nightbell serve &
#   eval "$(nightbell env)"
#   examples/files.sh
set -euo pipefail
cd "$(dirname "$0")/.."
export AWS_PAGER=
: "${AWS_ENDPOINT_URL:?run: eval \"\$(nightbell env)\"}" "${NIGHTBELL_DATA:?the data folder of the server}"

# A log group for the file server's events, and a stream for one machine.
aws --endpoint-url "$AWS_ENDPOINT_URL" logs create-log-group --log-group-name /aws/fsx/windows
aws --endpoint-url "$AWS_ENDPOINT_URL" logs create-log-stream --log-group-name /aws/fsx/windows --log-stream-name fs1

# One denied open (event 4656) goes in, and is found again by what it means.
aws --endpoint-url "$AWS_ENDPOINT_URL" logs put-log-events --log-group-name /aws/fsx/windows --log-stream-name fs1 \
  --log-events "$(examples/events.sh 1 examples/event-4656.xml)"
aws --endpoint-url "$AWS_ENDPOINT_URL" logs filter-log-events --log-group-name /aws/fsx/windows \
  --filter-pattern '{ $.EventID = 4656 && $.Audit.Outcome = "failure" && $.Audit.Folder = "\\secret" }' \
  --query 'events[].logStreamName'

# Each denied open in \secret and below it counts one.
aws --endpoint-url "$AWS_ENDPOINT_URL" logs put-metric-filter --log-group-name /aws/fsx/windows --filter-name denied-secret \
  --filter-pattern '{ $.EventID = 4656 && $.Audit.Outcome = "failure" && ($.Audit.Folder = "\\secret" || $.Audit.Folder = "\\secret\\*") }' \
  --metric-transformations metricName=DeniedSecret,metricNamespace=Files,metricValue=1

# Who is told: a topic, and a subscription that its owner confirms.
topic=$(aws --endpoint-url "$AWS_ENDPOINT_URL" sns create-topic --name security --query TopicArn --output text)
aws --endpoint-url "$AWS_ENDPOINT_URL" sns subscribe --topic-arn "$topic" --protocol email \
  --notification-endpoint security@example.org
token=$(examples/newest-mail.sh security@example.org 'Subscription Confirmation' | sed -n 's/.*&Token=//p')
aws --endpoint-url "$AWS_ENDPOINT_URL" sns confirm-subscription --topic-arn "$topic" --token "$token"

# More than five in a minute is an alarm.
aws --endpoint-url "$AWS_ENDPOINT_URL" cloudwatch put-metric-alarm --alarm-name denied-secret \
  --namespace Files --metric-name DeniedSecret --statistic Sum --period 60 --evaluation-periods 1 \
  --threshold 5 --comparison-operator GreaterThanThreshold --treat-missing-data notBreaching --alarm-actions "$topic"

# Alice tries six times.
aws --endpoint-url "$AWS_ENDPOINT_URL" logs put-log-events --log-group-name /aws/fsx/windows --log-stream-name fs1 \
  --log-events "$(examples/events.sh 6 examples/event-4656.xml)"

# The mail.
examples/newest-mail.sh security@example.org 'denied 6 times'
