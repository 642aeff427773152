#!/usr/bin/env bash
# Expected: four tickers of one second, in one process that is stopped for 3 s (SIGSTOP, SIGCONT) half a second
# after a tick, catch up alike; the two packages that promise "no drift" differ from setInterval in that alone.
# Seen: accurate-interval 1.0.9 and driftless 2.0.3 (npm) each tick three times within milliseconds; node-cron
# 4.6.0 reports two as missed and runs the third half a second late; setInterval ticks once. From then on
# setInterval ticks at the half seconds, the others at the whole ones: the four no longer tick together.
# Why: accurate-interval (index.js) and driftless (src/driftless.js) add the period to the planned time, never asking how
# late it is, until the plan is ahead again; node-cron's planBeat takes the last slot that passed and hands
# those before it to execution:missed; Node's setInterval counts from the moment it runs.
set -euo pipefail
dir=$(mktemp -d)
node_id=
trap 'if [ -n "$node_id" ]; then kill -9 "$node_id" 2> /dev/null || true; fi; rm -rf "$dir"' EXIT
same() { # what, seen, expected
  if [ "$2" != "$3" ]; then echo "DIFFERS: $1: saw \"$2\", not \"$3\""; cat "$dir/ticks"; exit 1; fi
  echo "$1: $2"
}

(cd "$dir" && echo '{"private": true}' > package.json &&
  npm install --silent --no-audit --no-fund --no-update-notifier --cache "$dir/cache" --save-exact \
    accurate-interval@1.0.9 driftless@2.0.3 node-cron@4.6.0)
cat > "$dir/tickers.js" <<'JS'
const accurateInterval = require('accurate-interval');
const { setDriftlessInterval } = require('driftless');
const cron = require('node-cron');
const ticks = [];
const tick = (name) => { ticks.push([name, Date.now()]); };
setTimeout(() => { // at a whole second of the clock, as cron's
  setInterval(() => tick('setInterval'), 1000);
  accurateInterval(() => tick('accurate-interval'), 1000);
  setDriftlessInterval(() => tick('driftless'), 1000);
  const task = cron.schedule('* * * * * *', () => tick('node-cron'), { suppressMissedWarning: true });
  task.on('execution:missed', () => tick('missed'));
  console.log('started');
}, 1000 - Date.now() % 1000);
process.on('SIGTERM', () => {
  let stop = 1; // the longest silence is the stop
  for (let i = 1; i < ticks.length; i++) {
    if (ticks[i][1] - ticks[i - 1][1] > ticks[stop][1] - ticks[stop - 1][1]) stop = i;
  }
  const resumed = ticks[stop][1];
  for (const name of ['setInterval', 'accurate-interval', 'driftless', 'node-cron', 'missed']) {
    const of = ticks.filter((t) => t[0] === name).map((t) => t[1]);
    const burst = of.filter((t) => t >= resumed && t < resumed + 250).length;
    const later = of.filter((t) => t >= resumed + 250).map((t) => Math.round(t % 1000 / 500) % 2 ? 'half' : 'whole');
    console.log(`${name}: at once ${burst}, then at ${[...new Set(later)].join(' and ') || 'none'}`);
  }
  console.log(ticks.map((t) => `${t[0]} ${t[1] - ticks[0][1]}`).join('\n'));
  process.exit();
});
JS
for package in accurate-interval driftless node-cron; do
  echo "$package $(node -p "require('$dir/node_modules/$package/package.json').version")"
done
echo "Node $(node --version)"
node "$dir/tickers.js" > "$dir/ticks" &
node_id=$!
for _ in $(seq 200); do
  if [ -s "$dir/ticks" ]; then break; fi
  sleep 0.02
done
sleep 3.5
kill -STOP "$node_id"
sleep 3
kill -CONT "$node_id"
sleep 3.2
kill -TERM "$node_id"
wait "$node_id"
node_id=
of() { sed -n "s/^$1: //p" "$dir/ticks"; }
same "setInterval" "$(of setInterval)" "at once 1, then at half"
same "accurate-interval" "$(of accurate-interval)" "at once 3, then at whole"
same "driftless" "$(of driftless)" "at once 3, then at whole"
same "node-cron" "$(of node-cron)" "at once 1, then at whole"
same "node-cron's missed" "$(of missed)" "at once 2, then at none"
echo "It holds: one stop of 3 s, and four tickers make 1, 3, 3 and 1 of it."
