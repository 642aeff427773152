//! Sum, mean, standard deviation, minimum and maximum, in one pass and constant memory.

use std::fmt;

use anyhow::{Result, ensure};

use crate::action::Action;

/// The least sum of squares that is trusted: squares below 10^-308 lose digits, but even 10^9 of
/// them cannot matter in it.
const MIN_SUM_OF_SQUARES: f64 = 1e-290;

/// What is known of the numbers so far. It is displayed as their count: `1 number`, `2 numbers`.
///
/// The standard deviation is computed by Welford's method (*Note on a Method for Calculating
/// Corrected Sums of Squares and Products*, 1962): each number moves the mean towards itself, and
/// its distances from the mean before and after, multiplied, are what it adds to the squares. So
/// nothing large cancels. The sums and the mean also keep what their rounding lost:
/// up to 10^9 numbers, at least 12 digits of the deviation are right, and 14 of a sum or a mean
/// unless the numbers cancel one another.
#[derive(Clone, Copy, Debug, Default)]
pub struct Statistics {
    count: u64,
    min: f64,
    max: f64,
    sum: DoubleDouble,
    mean: DoubleDouble,
    /// Σ(*x* − *m*)², where *m* is the mean.
    squares: DoubleDouble,
}

impl Statistics {
    /// How many numbers there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Adds a finite number.
    pub fn push(&mut self, number: f64) {
        if self.count == 0 || number < self.min {
            self.min = number;
        }
        if self.count == 0 || number > self.max {
            self.max = number;
        }
        self.count += 1;
        self.sum.add_exactly(number);

        let distance = (number - self.mean.high) - self.mean.low;
        let step = distance / self.n();
        self.mean.add(step);
        self.squares.add(distance * (distance - step));
    }

    /// What `action` asks for. It is an error when there are no numbers (only their sum is
    /// defined, 0), and when adding up the numbers, or the squares for a standard deviation, leaves
    /// the range of an `f64`: squares do so for distances from the mean above 10^154 / √*n*, and
    /// for deviations below 10^-145 / √*n*.
    pub fn answer(&self, action: Action) -> Result<f64> {
        ensure!(self.count > 0 || action == Action::Sum, "the {action} of no numbers is undefined");
        Ok(match action {
            Action::Min => self.min,
            Action::Max => self.max,
            Action::StandardDeviation if self.min < self.max => {
                let squares = self.squares.high;
                ensure!(
                    (MIN_SUM_OF_SQUARES..=f64::MAX).contains(&squares),
                    "the squares to be added up are too large or too small for a 64-bit float"
                );
                (squares / self.n()).sqrt()
            }
            Action::StandardDeviation => 0.0, // All numbers are equal.
            Action::Sum | Action::Mean => {
                ensure!(
                    self.sum.high.is_finite(),
                    "adding up these numbers leaves the range of a 64-bit float"
                );
                if action == Action::Sum { self.sum.high } else { self.sum.divided_by(self.n()) }
            }
        })
    }

    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 numbers, years of sending")]
    fn n(&self) -> f64 {
        self.count as f64
    }
}

impl fmt::Display for Statistics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} number{}", self.count, if self.count == 1 { "" } else { "s" })
    }
}

/// A number with twice the digits of an `f64`: `high` is the number, rounded, and `low` what
/// rounding lost.
#[derive(Clone, Copy, Debug, Default)]
struct DoubleDouble {
    high: f64,
    low: f64,
}

impl DoubleDouble {
    /// Adds a number that is rounded itself, with no greater error than that (Kahan, *Further
    /// Remarks on Reducing Truncation Errors*, 1965).
    fn add(&mut self, number: f64) {
        let number = number + self.low;
        let sum = self.high + number;
        self.low = number - (sum - self.high);
        self.high = sum;
    }

    /// Adds a number that is exact, and loses none of it even beside a far greater sum (Knuth, *The
    /// Art of Computer Programming*, volume 2, section 4.2.2), which takes longer.
    fn add_exactly(&mut self, number: f64) {
        let sum = self.high + number;
        let added = sum - self.high;
        let low = self.low + ((self.high - (sum - added)) + (number - added));
        self.high = sum + low;
        self.low = low - (self.high - sum);
    }

    /// This one divided by `n`, and rounded only then: the remainder of the division, which is
    /// exact, and `low` are divided, too.
    fn divided_by(self, n: f64) -> f64 {
        let quotient = self.high / n;
        let remainder = quotient.mul_add(-n, self.high);
        quotient + (remainder + self.low) / n
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these answers are exact")]
mod tests {
    use std::iter::{once, repeat_n};

    use super::*;
    use Action::{Max, Mean, Min, StandardDeviation, Sum};

    fn answer(action: Action, numbers: impl IntoIterator<Item = f64>) -> Result<f64> {
        let mut statistics = Statistics::default();
        numbers.into_iter().for_each(|number| statistics.push(number));
        statistics.answer(action)
    }

    #[track_caller]
    fn assert_deviation(numbers: impl IntoIterator<Item = f64>, expected: f64) {
        let deviation = answer(StandardDeviation, numbers).unwrap();
        let error = ((deviation - expected) / expected).abs();
        assert!(error < 1e-15, "{deviation}, expected {expected}");
    }

    #[test]
    fn small_sets_are_exact() {
        for (numbers, expected) in [
            (&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0][..], [40.0, 5.0, 2.0, 2.0, 9.0]),
            (&[-3.5], [-3.5, -3.5, 0.0, -3.5, -3.5]),
        ] {
            let answer = |action| answer(action, numbers.iter().copied()).unwrap();
            assert_eq!([Sum, Mean, StandardDeviation, Min, Max].map(answer), expected);
        }
    }

    #[test]
    fn a_sum_keeps_what_one_rounding_loses() {
        let numbers = [1.0, 1e100, 1.0, -1e100];
        assert_eq!(answer(Sum, numbers).unwrap(), 2.0);
        assert_eq!(answer(Mean, numbers).unwrap(), 0.5);
        assert_eq!(answer(Sum, repeat_n(0.1, 1_000_000)).unwrap(), 100_000.0);
    }

    #[test]
    fn a_mean_is_rounded_once() {
        let sum = 2_f64.powi(53); // Where 3 more would be rounded to 4.
        assert_eq!(answer(Mean, [sum, 1.0, 1.0, 1.0]).unwrap(), sum / 4.0 + 0.75);
        for number in (1..1000).map(|cents| f64::from(cents) / 100.0) {
            let above = f64::from_bits(number.to_bits() + 1);
            let mut statistics = Statistics::default();
            for n in 1..100 {
                statistics.push(number);
                assert_eq!(statistics.answer(Mean).unwrap(), number, "of {n}");
                let mut others = statistics;
                others.push(above);
                others.push(number);
                assert_eq!(others.answer(Mean).unwrap(), number, "of {n}, {above} and it again");
            }
        }
    }

    #[test]
    fn a_large_mean_costs_no_digits() {
        // Of consecutive numbers; of three; and of two, as in NIST's set `NumAcc4`.
        let n = 100_000;
        let numbers = (0..n).map(|index| 1e15 + f64::from(index));
        let n = f64::from(n);
        assert_eq!(answer(Mean, numbers.clone()).unwrap(), 1e15 + (n - 1.0) / 2.0);
        assert_deviation(numbers, ((n * n - 1.0) / 12.0).sqrt());
        assert_deviation([1e16, 1e16 + 2.0, 1e16 + 4.0], (8.0_f64 / 3.0).sqrt());
        let (low, high) = (1e7 + 0.1, 1e7 + 0.3);
        assert_deviation(repeat_n([low, high], 500).flatten(), (high - low) / 2.0);
    }

    /// Of two values, p and 1 - p of them, the deviation is their distance times √(p (1 - p)).
    #[test]
    fn many_numbers_after_an_outlier_cost_no_digits() {
        let p: f64 = 1e-6;
        for outlier in [1e3, -1e9, 1e15] {
            let numbers = once(outlier).chain(repeat_n(0.7, 999_999));
            assert_deviation(numbers, f64::abs(outlier - 0.7) * (p * (1.0 - p)).sqrt());
        }
    }

    #[test]
    fn what_leaves_the_range_is_an_error_and_no_answer() {
        let most = f64::MAX;
        let refusal = |action, numbers: &[f64]| {
            answer(action, numbers.iter().copied()).unwrap_err().to_string()
        };
        for numbers in [&[most, most][..], &[most, most, -most], &[-most, -most, most, most]] {
            let expected = "adding up these numbers leaves the range of a 64-bit float";
            assert_eq!(refusal(Sum, numbers), expected, "{numbers:?}");
            assert_eq!(refusal(Mean, numbers), expected, "{numbers:?}");
        }
        for numbers in [
            &[-1e154, 1e154][..],
            &[most, -most, 1.0, 2.0],
            &[1e-146, 3e-146],
            &[0.0, 5e-324],
            &[1e-200, -1e-200],
        ] {
            let expected =
                "the squares to be added up are too large or too small for a 64-bit float";
            assert_eq!(refusal(StandardDeviation, numbers), expected, "{numbers:?}");
        }
        assert_deviation([-1e153, 1e153], 1e153);
        assert_deviation([1e-144, 3e-144], 1e-144);
        // Small ones do no harm beside others, nor do equal ones.
        assert_deviation([0.0, 5e-324, 2.0], (8.0_f64 / 9.0).sqrt());
        assert_eq!(answer(StandardDeviation, [1e-300, 1e-300]).unwrap(), 0.0);
    }
}
