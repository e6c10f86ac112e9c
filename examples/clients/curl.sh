#!/bin/sh
# A driver for `fake-dashscope check`: curl and sh, as many a script has it.
set -u
task() { printf '%s' "$FAKE_DASHSCOPE_TASK" | sed -n "s/.*\"$1\": \"\{0,1\}\([^,\"}]*\).*/\1/p"; }
field() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" "$folder/body"; }
end() { echo "{\"outcome\": \"$1\"}"; [ "$1" = SUCCEEDED ]; exit $?; }

if [ "$FAKE_DASHSCOPE_DIALECT" = aisa ]; then
  base=$AISA_BASE_URL key=$AISA_API_KEY status=/services/aigc/tasks
else
  base=$DASHSCOPE_BASE_URL key=$DASHSCOPE_API_KEY status=/tasks
fi
[ "$(task endpoint)" = video ] && [ "$(task tasks)" = 1 ] || exit 77
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT

# What was asked for, answered with its HTTP status; the body is in a file, and so is Retry-After.
ask() {
  curl --silent --show-error --max-time 15 --output "$folder/body" --dump-header "$folder/head" \
    --write-out '%{http_code}' --header "Authorization: Bearer $key" "$@"
}
# How long the last answer asks to stay away: whole seconds, or one if it asks for nothing that can be read.
pause_s() { sed -n 's/^retry-after: *\([0-9]\{1,9\}\).*/\1/Ip' "$folder/head" | grep . || echo 1; }

create() {
  ask --request POST "$base$(task path)" --header 'Content-Type: application/json' --header 'X-DashScope-Async: enable' \
    --data "{\"model\": \"$(task model)\", \"input\": {\"prompt\": \"$(task prompt)\"}}"
}
until_s=$(($(date +%s) + $(task submit_timeout_s | cut -d. -f1)))
while code=$(create) || end IN_DOUBT; do
  case $code in
    200) break ;;
    429) [ $(($(date +%s) + $(pause_s))) -le "$until_s" ] || end THROTTLED; sleep "$(pause_s)" ;;
    4??) end REFUSED ;;
    *) end IN_DOUBT ;;
  esac
done
id=$(field task_id)
[ -n "$id" ] || end IN_DOUBT
[ "$(task cancel)" != PENDING ] || ask --request POST "$base/tasks/$id/cancel" >/dev/null

until_s=$(($(date +%s) + ${FAKE_DASHSCOPE_DEADLINE_S%.*}))
while [ "$(date +%s)" -lt "$until_s" ]; do
  if code=$(ask "$base$status/$id") && [ "$code" = 200 ]; then
    case $(field task_status) in
      SUCCEEDED)
        curl --silent --fail --max-time 60 --output "$FAKE_DASHSCOPE_OUTPUT" "$(field video_url)"
        end SUCCEEDED ;;
      FAILED) end FAILED ;;
      CANCELED) end CANCELED ;;
    esac
  fi
  [ $(($(date +%s) + $(pause_s))) -le "$until_s" ] || break
  sleep "$(pause_s)"
done
end STILL_GOING
