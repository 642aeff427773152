//! Sum, mean, standard deviation, minimum and maximum of however many numbers, in one pass and
//! constant memory.

use anyhow::{Result, ensure};

use crate::Action;

/// The least sum of squares that is trusted: squares below 10^-308 lose digits, but even 10^9 of
/// them cannot matter in it.
const MIN_SUM_OF_SQUARES: f64 = 1e-290;

/// What an action needs to know of the numbers so far.
///
/// # Accuracy
///
/// A plain sum loses the last digits of each number that is added to a greater one. The
/// sums here are double-doubles, so their error does not grow with their length: at least
/// 14 digits are right, unless the numbers cancel each other.
///
/// The standard deviation comes from the sums of *d* and of *d*², where *d* is a number
/// minus the first one; that shift keeps small what would cancel between Σ*x*² and (Σ*x*)²
/// (Chan, Golub & LeVeque, *Algorithms for Computing the Sample Variance*, 1983). The
/// squares are double-doubles, too, so that 12 digits are right even where the first number
/// is far from all others.
#[derive(Clone, Copy, Debug)]
pub struct Statistics {
    action: Action,
    count: u64,
    first: f64,
    /// The minimum or the maximum; for the standard deviation, the greatest |*d*|.
    extreme: f64,
    /// Of the numbers; for the standard deviation, of *d*.
    sum: DoubleDouble,
    /// Of *d*².
    squares: DoubleDouble,
}

impl Statistics {
    /// For `action`, of no numbers yet.
    pub fn new(action: Action) -> Self {
        let (sum, squares) = (DoubleDouble::default(), DoubleDouble::default());
        Self { action, count: 0, first: 0.0, extreme: 0.0, sum, squares }
    }

    /// How many numbers there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Adds a finite number.
    pub fn push(&mut self, number: f64) {
        if self.count == 0 {
            self.first = number;
            self.extreme = if self.action == Action::StandardDeviation { 0.0 } else { number };
        }
        self.count += 1;
        match self.action {
            Action::Sum | Action::Mean => self.sum.add(number),
            Action::StandardDeviation => {
                let (deviation, lost) = two_sum(number, -self.first);
                self.extreme = self.extreme.max(deviation.abs());
                self.sum.add(deviation);
                self.sum.low += lost;
                self.squares.add_square(deviation);
                self.squares.low += 2.0 * deviation * lost;
            }
            Action::Min => self.extreme = self.extreme.min(number),
            Action::Max => self.extreme = self.extreme.max(number),
        }
    }

    /// What the action asks for.
    ///
    /// # Errors
    ///
    /// When there are no numbers (their sum is 0), and when adding them up, or the squares of a
    /// standard deviation, leaves the range of an `f64`: distances from the first number do so
    /// above 10^154, divided by √*n*, and deviations below 10^-145.
    pub fn answer(&self) -> Result<f64> {
        let action = self.action;
        ensure!(self.count > 0 || action == Action::Sum, "the {action} of no numbers is undefined");
        Ok(match action {
            Action::Min | Action::Max => self.extreme,
            Action::StandardDeviation if self.extreme == 0.0 => 0.0,
            Action::StandardDeviation => {
                let squares = self.squares_about_mean();
                let is_accurate = squares.is_finite() && squares >= MIN_SUM_OF_SQUARES;
                ensure!(
                    is_accurate,
                    "the squares to be added up are too large or too small for a 64-bit float"
                );
                (squares / self.n()).sqrt()
            }
            Action::Sum | Action::Mean => {
                let sum = self.sum.value();
                ensure!(
                    sum.is_finite(),
                    "adding up these numbers leaves the range of a 64-bit float"
                );
                if action == Action::Sum { sum } else { sum / self.n() }
            }
        })
    }

    /// Σ(*d* − *m*)², where *m* is the mean of *d*.
    fn squares_about_mean(&self) -> f64 {
        let n = self.n();
        let mean = self.sum.value() / n;
        // Σ(d − m)² = Σd² − m (2 Σd − n m)
        let mut rest = self.sum;
        rest.add(self.sum.high);
        rest.add(self.sum.low);
        rest.add_product(-n, mean);
        let mut squares = self.squares;
        squares.add_product(-mean, rest.high);
        squares.add_product(-mean, rest.low);
        squares.value()
    }

    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 numbers, years of sending")]
    fn n(&self) -> f64 {
        self.count as f64
    }
}

/// The rounded sum of `a` and `b`, and exactly what rounding lost (Knuth, *The Art of Computer
/// Programming*, volume 2, section 4.2.2).
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let added = sum - a;
    (sum, (a - (sum - added)) + (b - added))
}

/// A sum with twice the digits of an `f64`: `high` is the sum, rounded, and `low` what
/// rounding lost (Dekker, *A Floating-Point Technique for Extending the Available
/// Precision*, 1971).
#[derive(Clone, Copy, Debug, Default)]
struct DoubleDouble {
    high: f64,
    low: f64,
}

impl DoubleDouble {
    /// Adds `number`. What `low` has gathered is carried over to `high`, or else `low` would lose
    /// digits, too.
    fn add(&mut self, number: f64) {
        let (sum, lost) = two_sum(self.high, number);
        let low = self.low + lost;
        self.high = sum + low;
        self.low = low - (self.high - sum);
    }

    /// Adds `a` × `b`: the rounded product, and exactly what rounding it lost.
    fn add_product(&mut self, a: f64, b: f64) {
        let product = a * b;
        self.low += a.mul_add(b, -product);
        self.add(product);
    }

    /// Adds `number`²: the square of its upper 26 bits, which is exact, and the rest. (Where the
    /// processor may lack it, `mul_add` is too slow for every number.)
    fn add_square(&mut self, number: f64) {
        let upper = f64::from_bits(number.to_bits() & !0x7ff_ffff);
        let rest = number - upper;
        self.low += (number + upper) * rest;
        self.add(upper * upper);
    }

    fn value(self) -> f64 {
        self.high + self.low
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these answers are exact")]
mod tests {
    use super::*;
    use Action::{Max, Mean, Min, StandardDeviation, Sum};

    fn answer(action: Action, numbers: impl IntoIterator<Item = f64>) -> Result<f64> {
        let mut statistics = Statistics::new(action);
        numbers.into_iter().for_each(|number| statistics.push(number));
        statistics.answer()
    }

    #[track_caller]
    fn assert_digits(
        action: Action,
        numbers: impl IntoIterator<Item = f64>,
        expected: f64,
        digits: i32,
    ) {
        let answer = answer(action, numbers).unwrap();
        let error = ((answer - expected) / expected).abs();
        assert!(error < 10f64.powi(-digits), "{action}: {answer}, expected {expected}");
    }

    /// Asserts that 15 digits of the mean and 14 of the standard deviation of `integers` / `scale`,
    /// a power of two, are right. The exact ones are rounded once, at the end.
    #[track_caller]
    #[expect(clippy::cast_precision_loss, reason = "they have 53 bits; then, the one rounding")]
    fn assert_right(integers: impl IntoIterator<Item = i128>, scale: f64) {
        let integers: Vec<_> = integers.into_iter().collect();
        let n = integers.len() as i128;
        let sum: i128 = integers.iter().sum();
        // The variance does not change when the last one is subtracted from all.
        let deviations = integers.iter().map(|integer| integer - integers[integers.len() - 1]);
        let squares: i128 = deviations.clone().map(|deviation| deviation * deviation).sum();
        let variance = n * squares - deviations.sum::<i128>().pow(2);
        let (mean, deviation) = (sum as f64 / n as f64, (variance as f64).sqrt() / n as f64);
        let numbers = integers.iter().map(|integer| *integer as f64 / scale);
        assert_digits(Mean, numbers.clone(), mean / scale, 15);
        assert_digits(StandardDeviation, numbers, deviation / scale, 14);
    }

    /// Integers from 0 to `limit`, the same in every run (Knuth's MMIX generator).
    fn pseudo_random(limit: i128) -> impl Iterator<Item = i128> {
        let mut state = 42_u64;
        std::iter::repeat_with(move || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            i128::from(state >> 11) % limit
        })
    }

    #[test]
    fn small_sets_are_exact() {
        for (numbers, answers) in [
            (&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0][..], [40.0, 5.0, 2.0, 2.0, 9.0]),
            (&[-3.5], [-3.5, -3.5, 0.0, -3.5, -3.5]),
        ] {
            for (action, expected) in
                [Sum, Mean, StandardDeviation, Min, Max].into_iter().zip(answers)
            {
                assert_eq!(answer(action, numbers.iter().copied()).unwrap(), expected, "{action}");
            }
        }
    }

    #[test]
    fn of_no_numbers_only_the_sum_is_defined() {
        assert_eq!(answer(Sum, []).unwrap(), 0.0);
        for action in [Mean, StandardDeviation, Min, Max] {
            assert!(answer(action, []).is_err(), "{action}");
        }
    }

    /// The sets `NumAcc1` to `NumAcc4` of the NIST Statistical Reference Datasets, whose
    /// certified standard deviations divide by n - 1: here they are divided by n.
    #[test]
    fn the_sets_of_nist_are_right_to_fourteen_digits() {
        let numbers = [10_000_001.0, 10_000_003.0, 10_000_002.0];
        assert_eq!(answer(Mean, numbers).unwrap(), 10_000_002.0);
        assert_digits(StandardDeviation, numbers, (2.0_f64 / 3.0).sqrt(), 15);

        // The decimals of the other three are no floats; these are the nearest.
        for base in [1.0, 1e6, 1e7] {
            let pairs = std::iter::repeat_n([base + 0.1, base + 0.3], 500).flatten();
            let numbers = std::iter::once(base + 0.2).chain(pairs);
            let scale = 2_f64.powi(52);
            #[expect(clippy::cast_possible_truncation, reason = "scaled, they are integers")]
            assert_right(numbers.map(|number| (number * scale) as i128), scale);
        }
    }

    #[test]
    fn a_large_mean_and_a_first_number_far_from_the_others_cost_no_digits() {
        let billion = 1_000_000_000 << 20;
        assert_right(pseudo_random(1 << 20).take(100_000).map(|x| billion + x), 2_f64.powi(20));
        for first in [0, 1 << 50, -(1 << 50)] {
            let others = pseudo_random(1000).take(100_000).map(|x| 1_000_000_007 + x);
            assert_right(std::iter::once(first).chain(others), 1.0);
        }
    }

    #[test]
    fn distances_that_are_rounded_themselves_cost_no_digits() {
        // So far apart that each distance from the first one is rounded, all outwards.
        let (first, other, count) = (-9_007_749_010_554_880.0, 9_007_199_254_741.002, 1e6);
        let others = std::iter::repeat_n([other, -other], 500_000).flatten();
        let numbers = std::iter::once(first).chain(others);
        let n: f64 = count + 1.0;
        let variance = (first * first + count * other * other) / n - (first / n).powi(2);
        assert_digits(StandardDeviation, numbers, variance.sqrt(), 14);
    }

    #[test]
    fn a_sum_keeps_what_one_rounding_loses() {
        assert_eq!(answer(Sum, [1.0, 1e100, 1.0, -1e100]).unwrap(), 2.0);
        assert_digits(Sum, std::iter::repeat_n(0.1, 1_000_000), 100_000.000_000_000_005_55, 15);
    }

    /// The correction of a sum that is only accumulated, and not renormalised, loses digits.
    #[test]
    fn ten_million_numbers_after_an_outlier_cost_no_digits() {
        let numbers = std::iter::once(1e3).chain(std::iter::repeat_n(0.7, 10_000_000));
        // Of two values, p and 1 - p of them: their distance times √(p (1 - p)).
        let outliers = 1.0 / 10_000_001.0;
        let expected = (1e3 - 0.7) * f64::sqrt(outliers * (1.0 - outliers));
        assert_digits(StandardDeviation, numbers, expected, 14);
    }

    #[test]
    fn deviations_whose_squares_leave_the_range_are_an_error() {
        for out_of_range in [[-1e154, 1e154], [1e-146, 3e-146], [0.0, 5e-324], [1e-200, -1e-200]] {
            let error = answer(StandardDeviation, out_of_range).unwrap_err().to_string();
            let expected =
                "the squares to be added up are too large or too small for a 64-bit float";
            assert_eq!(error, expected);
        }
        assert_digits(StandardDeviation, [-1e153, 1e153], 1e153, 15);
        assert_digits(StandardDeviation, [1e-144, 3e-144], 1e-144, 15);
        // Small ones do no harm beside others.
        assert_digits(StandardDeviation, [0.0, 5e-324, 2.0], (8.0_f64 / 9.0).sqrt(), 15);
        assert_eq!(answer(StandardDeviation, [1e-300, 1e-300]).unwrap(), 0.0);
    }

    #[test]
    fn no_answer_is_infinite_or_not_a_number() {
        let most = f64::MAX;
        for numbers in [vec![most, most], vec![most, most, -most], vec![-most, -most, most, most]] {
            for action in [Sum, Mean] {
                let error = answer(action, numbers.clone()).unwrap_err().to_string();
                let expected = "adding up these numbers leaves the range of a 64-bit float";
                assert_eq!(error, expected, "{action} of {numbers:?}");
            }
        }
        assert!(answer(StandardDeviation, [most, -most]).is_err());
        assert!(answer(StandardDeviation, [most, -most, 1.0, 2.0]).is_err());
    }
}
