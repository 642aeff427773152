#!/usr/bin/env bash
# Expected: the deviation of the last three readings is a matter of these three: for 1, 2, 3 it is 1 of a
# sample, 0.816 of a population. A wild reading is forgotten when it has left the window.
# Seen: after one reading of 1e9 and then 900,000 ordinary ones, Bottleneck 1.6.0 (PyPI) says 6.53 where
# numpy says 0.816, and @stdlib/stats-incr-mstdev 0.2.3 (npm) says 8 where 1 is right; after one of 1e10
# Bottleneck says 0 and @stdlib NaN. It never heals, while Bottleneck's moving mean is right all along.
# Why: both keep the mean and the sum of squared distances, and at each step put in the change between the
# reading that comes and the one that goes (move_template.c; lib/main.js). At 1e9 that sum is near 1e18, where doubles
# lie 128 apart: what was rounded away stays in it. Bottleneck makes a sum below 0 a 0; @stdlib takes its root.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
same() { # what, seen, expected
  if [ "$2" != "$3" ]; then echo "DIFFERS: $1: saw \"$2\", not \"$3\""; exit 1; fi
  echo "$1: $2"
}

python3 -m pip install --quiet --no-cache-dir --root-user-action ignore --disable-pip-version-check --target "$dir/py" Bottleneck==1.6.0 numpy==2.4.6
(cd "$dir" && echo '{"private": true}' > package.json &&
  npm install --silent --no-audit --no-fund --no-update-notifier --cache "$dir/cache" --save-exact @stdlib/stats-incr-mstdev@0.2.3)
cat > "$dir/window.py" <<'PY'
import sys

import bottleneck
import numpy

if sys.argv[1] == "version":
    print(bottleneck.__version__, numpy.__version__)
else:
    readings = numpy.array([1, 2, 3, float(sys.argv[1])] + [1, 2, 3] * 300_000)
    moving = bottleneck.move_std(readings, 3)
    print("%.3f, %.3f, mean %g, numpy %.3f" % (
        moving[2], moving[-1], bottleneck.move_mean(readings, 3)[-1], numpy.std(readings[-3:])))
PY
cat > "$dir/window.js" <<'JS'
const deviation = require('@stdlib/stats-incr-mstdev')(3);
let before;
for (const x of [1, 2, 3]) before = deviation(x);
let last = deviation(Number(process.argv[2]));
for (let i = 0; i < 900000; i++) last = deviation(i % 3 + 1);
console.log(`${before}, ${last}`);
JS
export PYTHONPATH="$dir/py"
same "Bottleneck and numpy" "$(python3 "$dir/window.py" version)" "1.6.0 2.4.6"
same "@stdlib/stats-incr-mstdev" "$(node -p "require('$dir/node_modules/@stdlib/stats-incr-mstdev/package.json').version")" "0.2.3"
echo "The deviation of 1, 2, 3 before the wild reading, and long after it:"
same "Bottleneck, none wild" "$(python3 "$dir/window.py" 1)" "0.816, 0.816, mean 2, numpy 0.816"
same "Bottleneck, 1e9" "$(python3 "$dir/window.py" 1e9)" "0.816, 6.532, mean 2, numpy 0.816"
same "Bottleneck, 1e10" "$(python3 "$dir/window.py" 1e10)" "0.816, 0.000, mean 2, numpy 0.816"
same "@stdlib, none wild" "$(node "$dir/window.js" 1)" "1, 1"
same "@stdlib, 1e9" "$(node "$dir/window.js" 1e9)" "1, 8"
same "@stdlib, 1e10" "$(node "$dir/window.js" 1e10)" "1, NaN"
echo "It holds: 900,000 readings later, the one is still in there."
