#!/usr/bin/env bash
# Expected: of three times in milliseconds, one apart, the greatest is the last, the least the first, and the
# median the one between: such numbers are far below 2^53, and exact.
# Seen: mathjs 15.2.0 (npm), for the times 1, 0 and 2 ms after 2026 began, in this order: the greatest and the
# least are both the 1. In order of time, 600 calls for the median say 0 or 2, by chance, and never 1. The
# greatest of 1,001 times spread over 1.5 ms is the first, and lies below their mean; sort leaves 1, 0 so.
# Why: max, min, sort and median compare by larger, smaller and compare, which call two numbers equal that differ by
# at most relTol, 1e-12 of the greater (core/config.js): since September 2001 a millisecond of such times. So what
# came first stays; and median picks by a random pivot (partitionSelect), harmless as long as
# things equal to the same are equal to each other: 0 and 2 are not. With relTol 1e-16 all is right.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
same() { # what, seen, expected
  if [ "$2" != "$3" ]; then echo "DIFFERS: $1: saw \"$2\", not \"$3\""; exit 1; fi
  echo "$1: $2"
}

(cd "$dir" && echo '{"private": true}' > package.json &&
  npm install --silent --no-audit --no-fund --no-update-notifier --cache "$dir/cache" --save-exact mathjs@15.2.0)
cat > "$dir/times.js" <<'JS'
const { all, create } = require('mathjs');
const [what, tolerance, ...after] = process.argv.slice(2);
const math = create(all, tolerance === 'default' ? {} : { relTol: Number(tolerance) });
const start = Date.UTC(2026, 0, 1);
const times = after[0] === 'many' ? Array.from({ length: 1001 }, (_, i) => start + i * 1.5 / 1000) : after.map((x) => start + Number(x));
const shown = (x) => Array.isArray(x) ? x.map(shown).join(' ') : (x - start).toFixed(after[0] === 'many' ? 2 : 0);
if (what === 'medians') {
  const seen = new Set();
  for (let i = 0; i < 600; i++) seen.add(shown(math.median(times)));
  console.log([...seen].sort().join(' or '));
  process.exit();
}
console.log(what.split(',').map((f) => `${f} ${shown(math[f](times))}`).join(', '));
JS
times() { node "$dir/times.js" "$@"; }
same "mathjs" "$(node -p "require('$dir/node_modules/mathjs').version")" "15.2.0"
echo "Node $(node --version)"
same "1, 0, 2" "$(times max,min,mean default 1 0 2)" "max 1, min 1, mean 1"
same "0, 1, 2" "$(times max,min,mean default 0 1 2)" "max 2, min 0, mean 1"
same "0, 1, 2, the median, 600 times" "$(times medians default 0 1 2)" "0 or 2"
same "1, 0" "$(times min,max,sort default 1 0)" "min 1, max 1, sort 1 0"
same "1,001 times from 0.00 to 1.50" "$(times max,mean default many)" "max 0.00, mean 0.75"
same "1, 0, 2 with relTol 1e-16" "$(times max,min,mean,median,sort 1e-16 1 0 2)" "max 2, min 0, mean 1, median 1, sort 0 1 2"
same "0, 1, 2, the median, 600 times with relTol 1e-16" "$(times medians 1e-16 0 1 2)" "1"
same "1,001 times with relTol 1e-16" "$(times max,mean 1e-16 many)" "max 1.50, mean 0.75"
echo "It holds: the median of three may be any but the middle one."
