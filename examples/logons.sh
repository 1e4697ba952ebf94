#!/usr/bin/env bash
# The logons job, step by step with the AWS CLI: somebody guesses passwords, five failures within five minutes over all
# machines, and a mail says which machine, which account and from which address.
#
# Needs a server without a mail server of its own, and the environment that points at it:
#
#   export NIGHTBELL_DATA=$HOME/nightbell-data; nightbell serve &
#   eval "$(nightbell env)"
#   examples/logons.sh
set -euo pipefail
cd "$(dirname "$0")/.."
export AWS_PAGER=
: "${AWS_ENDPOINT_URL:?run: eval \"\$(nightbell env)\"}" "${NIGHTBELL_DATA:?the data folder of the server}"

# A log group for the Security logs of all machines, and a stream for one of them.
aws --endpoint-url "$AWS_ENDPOINT_URL" logs create-log-group --log-group-name windows-security
aws --endpoint-url "$AWS_ENDPOINT_URL" logs create-log-stream --log-group-name windows-security --log-stream-name SRV1

# Each failed logon counts one, whether it is 4625, 4771, 4776 or 4768.
aws --endpoint-url "$AWS_ENDPOINT_URL" logs put-metric-filter --log-group-name windows-security --filter-name failed-logons \
  --filter-pattern '{ $.Audit.Action = "logon" && $.Audit.Outcome = "failure" }' \
  --metric-transformations metricName=FailedLogons,metricNamespace=Logons,metricValue=1

# Who is told. An address that has confirmed before stays confirmed.
topic=$(aws --endpoint-url "$AWS_ENDPOINT_URL" sns create-topic --name logons --query TopicArn --output text)
aws --endpoint-url "$AWS_ENDPOINT_URL" sns subscribe --topic-arn "$topic" --protocol email \
  --notification-endpoint operators@example.org
token=$(examples/newest-mail.sh operators@example.org 'Subscription Confirmation' | sed -n 's/.*&Token=//p')
aws --endpoint-url "$AWS_ENDPOINT_URL" sns confirm-subscription --topic-arn "$topic" --token "$token"

# Five within five minutes is an alarm.
aws --endpoint-url "$AWS_ENDPOINT_URL" cloudwatch put-metric-alarm --alarm-name failed-logons \
  --namespace Logons --metric-name FailedLogons --statistic Sum --period 300 --evaluation-periods 1 \
  --threshold 5 --comparison-operator GreaterThanOrEqualToThreshold --treat-missing-data notBreaching --alarm-actions "$topic"

# Five wrong passwords for the administrator of SRV1.
aws --endpoint-url "$AWS_ENDPOINT_URL" logs put-log-events --log-group-name windows-security --log-stream-name SRV1 \
  --log-events "$(examples/events.sh 5 examples/event-4625.xml)"

# The mail, and the state.
examples/newest-mail.sh operators@example.org 'failed'
aws --endpoint-url "$AWS_ENDPOINT_URL" cloudwatch describe-alarms --alarm-names failed-logons \
  --query 'MetricAlarms[].[AlarmName,StateValue,StateReason]'
