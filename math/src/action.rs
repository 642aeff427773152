//! The actions, and their names.

use std::fmt;
use std::str::FromStr;

use anyhow::{Error, Result, bail};
use echo::preview::Preview;

/// What can be asked of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// `sum`, `somme`; of no numbers, 0.
    Sum,
    /// `mean`, `average`, `moyenne`.
    Mean,
    /// `stddev`, `écart-type`, `ecart-type`: of the population, that is, divided by *n*.
    StandardDeviation,
    /// `min`.
    Min,
    /// `max`.
    Max,
}

impl FromStr for Action {
    type Err = Error;

    /// Reads an action's name, English or French, in any letter case.
    fn from_str(name: &str) -> Result<Self> {
        Ok(match name.to_lowercase().as_str() {
            "sum" | "somme" => Self::Sum,
            "mean" | "average" | "moyenne" => Self::Mean,
            // The accent may be a character of its own.
            "stddev" | "écart-type" | "e\u{301}cart-type" | "ecart-type" => {
                Self::StandardDeviation
            }
            "min" => Self::Min,
            "max" => Self::Max,
            _ => bail!("expected sum, mean, stddev, min or max, not {}", Preview(name)),
        })
    }
}

impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Sum => "sum",
            Self::Mean => "mean",
            Self::StandardDeviation => "stddev",
            Self::Min => "min",
            Self::Max => "max",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Action::{Max, Mean, Min, StandardDeviation, Sum};

    #[test]
    fn names_are_english_or_french_in_any_case() {
        for (action, names) in [
            (Sum, "sum SUM somme"),
            (Mean, "mean Average MOYENNE"),
            (StandardDeviation, "stddev écart-type ÉCART-TYPE E\u{301}cart-type ecart-type"),
            (Min, "min Min"),
            (Max, "max MAX"),
        ] {
            for name in names.split(' ') {
                assert_eq!(name.parse::<Action>().unwrap(), action, "{name}");
            }
            assert_eq!(action.to_string(), names.split(' ').next().unwrap());
        }
        let error = "produit".parse::<Action>().unwrap_err().to_string();
        assert_eq!(error, r#"expected sum, mean, stddev, min or max, not "produit""#);
    }
}
