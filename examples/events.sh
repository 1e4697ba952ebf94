#!/usr/bin/env bash
# Prints COUNT copies of the event in FILE, as of now, in the JSON that `aws logs put-log-events --log-events` takes.
#
#   examples/events.sh COUNT FILE
set -euo pipefail

count=${1:?how many events}
# The event as a JSON string: one line, so only backslashes and double quotes need care.
message=$(tr -d '\r\n' <"${2:?file that holds one event}" | sed 's/[\\"]/\\&/g')
now=$(date +%s)000
separator='['
for _ in $(seq "$count"); do
  printf '%s{"timestamp":%s,"message":"%s"}' "$separator" "$now" "$message"
  separator=,
done
echo ']'
