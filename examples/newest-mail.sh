#!/usr/bin/env bash
# Prints the newest mail to ADDRESS in the mailbox folder whose subject holds WORDS: its headers and its text, decoded.
# Waits up to ten seconds for one. Only for a server without a mail server (no `smtp` setting), which keeps its mails there.
#
#   NIGHTBELL_DATA=/path/to/data examples/newest-mail.sh ADDRESS WORDS
set -euo pipefail

address=${1:?address of the recipient}
words=${2:?words of the subject}
mailbox=${NIGHTBELL_DATA:?the data folder of the server}/mailbox
mail=
for _ in $(seq 100); do
  # The names begin with the time; the first blank line ends the headers.
  for path in "$mailbox"/*.eml; do
    headers=$(sed '/^\r*$/q' "$path" 2>/dev/null) || continue
    if grep -qF "To: $address" <<<"$headers" && grep -qF -e "$words" <<<"$headers"; then mail=$path; fi
  done
  [ -z "$mail" ] || break
  sleep 0.1
done
[ -n "$mail" ] || { echo "no mail to $address with '$words' in its subject came within ten seconds" >&2; exit 1; }

# Everything before the HTML part, with quoted-printable undone: soft line ends first, then the escaped bytes.
text=$(tr -d '\r' <"$mail" | sed '/^Content-Type: text\/html/,$d' | sed -e ':again' -e '/=$/{N;s/=\n//;b again' -e '}')
printf '%b\n' "$(printf '%s' "$text" | sed -e 's/\\/\\\\/g' -e '/^Content-Type/b' -e 's/=\([0-9A-F][0-9A-F]\)/\\x\1/g')"
