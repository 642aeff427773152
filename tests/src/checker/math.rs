//! What the checker asks of `math`.

use std::collections::HashMap;
use std::slice;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::talk::{
    ANSWER, AT_ONCE, Attempt, Check, Client, Exercise, Failure, GUESS, LEARN, Outcome, Stop,
    Target, ensure, need, not_tried, numbers, value,
};

/// What the statement's actions may be called, in French and in English, the most usual names first.
#[rustfmt::skip]
const ACTIONS: [[&[&str]; 2]; 5] = [
    [&["max"], &["maximum"]],
    [&["min"], &["minimum"]],
    [&["somme", "addition", "total"], &["sum", "add"]],
    [&["moyenne", "moy"], &["mean", "average", "avg"]],
    [
        &["écart-type", "ecart-type", "ecart_type", "ecarttype", "ecartType", "écart", "ecart",
          "écart type", "ecart type", "écart_type", "écarttype", "écartType"],
        &["stddev", "std", "stdev", "sd", "standard-deviation", "standard_deviation",
          "standard deviation", "std_dev", "std-dev", "stdDev", "standardDeviation", "deviation",
          "sigma"],
    ],
];

/// How the sum of 1, 2 and 3 may be asked, the most usual ways first. What follows a line end or
/// a NUL, which is not sent, goes into a packet of its own.
#[rustfmt::skip]
const EXAMPLES: &[&str] = &[
    "somme\n1\n2\n3\n=\n", "somme\n1 2 3\n=\n", "somme 1 2 3 =\n", "somme 1 2 3\n=\n",
    "somme 1 2 3=\n", "somme\n1 2 3 =\n", "somme 1,2,3=\n", "somme:1,2,3=\n",
    "somme,1,2,3,=\n", "somme;1;2;3;=\n", "somme,1,2,3=\n", "somme;1;2;3=\n",
    "somme\n1,2,3\n=\n", "somme\n1;2;3\n=\n", "somme:1 2 3=\n", "somme:1;2;3=\n",
    "somme 1;2;3=\n", "somme 1, 2, 3 =\n", "somme 1,2,3 =\n", "somme: 1, 2, 3 =\n",
    "somme 1,2,3\n=\n", "somme:1,2,3\n=\n", "somme\n1,2,3=\n", "somme\n1 2 3=\n",
    "somme(1,2,3)=\n", "somme|1|2|3|=\n", "somme\r\n1\r\n2\r\n3\r\n=\r\n", "somme 1 2 3 =\r\n",
    "somme\x001\x002\x003\0=", "somme\x001 2 3\0=", "somme 1 2 3 =", "somme 1,2,3=",
];

/// The most numbers that may follow the answer.
const MAX_AFTER: usize = 10;

const SAY: &str = "show how the sum of 1, 2 and 3 is asked, such as --say 'somme 1 2 3 =\\n'";

/// How a question is written.
#[derive(Clone)]
struct Layout {
    before_action: String,
    before_numbers: String,
    separator: String,
    after_numbers: String,
}

impl Layout {
    /// The layout of an example that asks for the sum, or another action, of 1, 2 and 3, and the
    /// name by which it calls that action.
    fn of_example(example: &str) -> Result<(Self, String)> {
        let found = numbers(example, false);
        let mut threes = found.windows(3).rev();
        let numbers = threes.find(|three| {
            three.iter().map(|(_, number)| number.trim_start_matches('-')).eq(["1", "2", "3"])
        });
        let numbers = numbers.context("--say: expected how the sum of 1, 2 and 3 is asked")?;
        let [(one, first), (two, _), (three, third)] = numbers else { unreachable!("a window") };
        let before = &example[..*one];
        // The last word that is the name of an action, or else just the last word.
        let words =
            || before.split(|char: char| !char.is_alphanumeric() && !"-_".contains(char)).rev();
        let is_name = |word: &&str| action_called(word).is_some();
        let name = words().find(is_name).or_else(|| words().find(|word| !word.is_empty()));
        let name = name.context("--say: expected the name of the sum before its numbers")?;
        let (before_action, before_numbers) = before.rsplit_once(name).unwrap_or_default();
        let layout = Self {
            before_action: before_action.to_owned(),
            before_numbers: before_numbers.to_owned(),
            separator: example[one + first.len()..*two].to_owned(),
            after_numbers: example[three + third.len()..].to_owned(),
        };
        Ok((layout, name.to_owned()))
    }

    /// A question, in the packets that it is sent in.
    fn packets(&self, name: &str, numbers: &str) -> Vec<String> {
        let Self { before_action, before_numbers, separator, after_numbers } = self;
        let numbers = numbers.replace(' ', separator);
        let text = format!("{before_action}{name}{before_numbers}{numbers}{after_numbers}");
        text.split_inclusive(['\n', '\0']).map(|part| part.replace('\0', "")).collect()
    }
}

pub struct Math {
    target: Target,
    /// The layout and the name of the sum in the example that was given.
    example: Option<(Layout, String)>,
    layout: Option<Layout>,
    /// How many numbers follow the answer in a reply: a count, for example, or those of a menu.
    after: usize,
    /// What the server calls the statement's actions.
    names: HashMap<&'static str, String>,
    decimal_mark: &'static str,
    /// Whether it takes questions as our pages write them.
    reads_tokens: bool,
}

impl Exercise for Math {
    const ASKED: &'static [Check<Self>] = &[
        ("a question is answered", Self::learn),
        ("`somme` adds up", |math| math.learn_name("somme", "1 2 3")),
        ("`moyenne` is the mean", |math| math.learn_name("moyenne", "2 9 4")),
        ("a mean may not be whole", |math| {
            math.ask("moyenne", "1 2", 1.5)?;
            math.ask("moyenne", "3 1 4", 8.0 / 3.0)
        }),
        ("`écart-type` is the standard deviation, of all or of a sample", |math| {
            math.learn_name("écart-type", "2 4 4 4 5 5 7 9")
        }),
        ("`min` is the smallest, of positive numbers, too", |math| math.learn_name("min", "5 3 7")),
        ("`max` is the largest, of negative numbers, too", |math| {
            math.learn_name("max", "3 8 7")?;
            math.ask("max", "-5 -3 -7", -3.0)
        }),
        ("numbers may have decimals", |math| {
            math.ask("max", "1.5 2.25 0.5", 2.25).or_else(|stop| {
                // The statement leaves open which mark they have.
                math.decimal_mark = ",";
                math.ask("max", "1.5 2.25 0.5", 2.25).map_err(|_| stop)
            })
        }),
        ("nothing is answered before `=`", |math| {
            let question = math.question("somme", "17 25")?;
            // In one packet with the numbers, it comes with them.
            let Some(at) = question.iter().position(|packet| packet.starts_with('=')) else {
                return Ok(());
            };
            let mut client = math.target.connect_greeted()?;
            client.ask(&question[..at]);
            client.pause(GUESS);
            let text = client.text();
            ensure(!is_answer(&text, math.after, &[42.0]), || client.failure("no answer yet"))?;
            client.ask(&question[at..]);
            math.expect(&mut client, 42.0)
        }),
        ("the next question on a connection takes its own numbers alone", |math| {
            let mut client = math.begin("max", "40 50")?;
            math.expect(&mut client, 50.0)?;
            client.ask(&math.question("max", "1 2")?);
            let outcome = math.expect(&mut client, 2.0);
            // A server may well answer one question a client.
            if client.end.is_some() || answer(&client.text(), math.after).is_none() {
                return Ok(());
            }
            outcome.map_err(|stop| stop.and_hint(true, "are the numbers forgotten after `=`?"))
        }),
        ("two clients at once each get their own answer", |math| {
            // The second asks all while the first is in the middle of its question, or before it.
            let question = math.question("max", "50 2")?;
            let (begun, rest) = question.split_at(question.len() / 2);
            let mut client = math.target.connect_greeted()?;
            client.ask(begun);
            let mut other = math.begin("max", "10 20")?;
            let outcome = math.expect(&mut other, 20.0);
            let is_silent = other.replies().is_empty() && other.end.is_none();
            client.ask(rest);
            let own = math.expect(&mut client, 50.0); // In any case: nothing must be left for the next check.
            outcome.and(own).map_err(|stop| {
                let hint = if is_silent { AT_ONCE } else { "are their numbers kept apart?" };
                stop.and_hint(true, hint)
            })
        }),
        ("a client that breaks off disturbs nobody after it", |math| {
            let question = math.question("max", "80 90")?.concat();
            let mut client = math.target.connect_greeted()?;
            client.ask(&[&question[..question.rfind("90").unwrap_or_default()]]);
            client.pause(GUESS / 2);
            drop(client);
            let mut next = math.begin("max", "4 5")?;
            math.expect(&mut next, 5.0).map_err(|stop| {
                let is_wrong = answer(&next.text(), math.after).is_some();
                stop.and_hint(is_wrong, "is what one client sent kept for the next?")
            })
        }),
    ];

    const FURTHER: &'static [Check<Self>] = &[
        ("the standard deviation is the population's", |math| {
            math.ask("écart-type", "2 4 4 4 5 5 7 9", 2.0)
        }),
        ("numbers may be negative, and have exponents", |math| {
            math.ask("somme", "-1.5 1e3 25e-2", 998.75)
        }),
        ("the answer is a line with nothing but the number, and all its digits", |math| {
            let mut client = math.begin("moyenne", "1 2 2")?;
            let is_exact = client.reply_until(ANSWER, |reply| {
                let line = reply.strip_suffix('\n').unwrap_or_default().trim_end_matches('\r');
                line.parse::<f64>().is_ok_and(|number| (number - 5.0 / 3.0).abs() < 1e-12)
            });
            ensure(is_exact, || {
                let has_comma =
                    answer(&client.text(), math.after).is_some_and(|shown| shown.contains(','));
                client.failure("1.6666666666666667").hint(has_comma, "it has a comma")
            })
        }),
        ("a number cut in two packets is one number", |math| {
            let question = math.question("somme", "5 12")?.concat();
            let (first, second) = question.split_at(question.rfind("12").unwrap_or_default() + 1);
            let mut client = math.target.connect_greeted()?;
            client.ask(&[first, second]);
            math.expect(&mut client, 17.0)
        }),
        // These ask as our pages do, which may end a server that takes questions otherwise.
        ("tokens may be on one line or on several, with LF or CR LF", |math| {
            for question in ["max 1 2 =\n", "max\n1\n2\n=\n", "max 1\r\n2\r\n=\r\n"] {
                math.ask_in_tokens(question, &[2.0])?;
            }
            math.reads_tokens = true;
            Ok(())
        }),
        ("actions have French and English names, in any letter case", |math| {
            math.need_tokens()?;
            for action in ["somme", "SUM", "Moyenne", "mean", "average", "min", "MAX"] {
                math.ask_in_tokens(&format!("{action} 5 =\n"), &[5.0])?;
            }
            for action in ["écart-type", "Ecart-Type", "stddev"] {
                math.ask_in_tokens(&format!("{action} 5 =\n"), &[0.0])?;
            }
            Ok(())
        }),
        ("several questions are answered on one connection, also in one packet", |math| {
            math.need_tokens()?;
            math.ask_in_tokens("max 1 3 =\nmax 4 =\nmin 6 7 =\n", &[3.0, 4.0, 6.0])
        }),
    ];

    const BY_HAND: &'static str = "your client, and what the server prints, if it prints anything";

    fn speaks(&self) -> Option<String> {
        let name = self.names.values().next()?;
        Some(format!("{:?}", self.layout.as_ref()?.packets(name, "1 2 3").concat()))
    }
}

impl Math {
    pub fn new(target: Target, example: Option<&str>) -> Result<Self> {
        let example = example.map(Layout::of_example).transpose()?;
        let (layout, after, names, decimal_mark) = (None, 0, HashMap::new(), ".");
        Ok(Self { target, example, layout, after, names, decimal_mark, reads_tokens: false })
    }

    /// Finds out how a question is written: with `max`, the same word in French and in English,
    /// then with other names in the most usual layouts, and last with more patience.
    fn learn(&mut self) -> Outcome {
        let (began, mut attempts) = (Instant::now(), Vec::<Attempt>::new());
        let of_table = |example: &&str| Layout::of_example(example).map(|(layout, _)| layout);
        let all: Vec<Layout> = EXAMPLES.iter().filter_map(|it| of_table(it).ok()).collect();
        let usual = &all[..8];
        let example = self.example.clone();
        let is_guess = example.is_none();
        let guesses = match &example {
            Some((layout, name)) => {
                let action = action_called(name).unwrap_or("somme");
                vec![(action, &**name, slice::from_ref(layout), ANSWER)]
            }
            None => vec![
                ("max", "max", &*all, GUESS),
                ("somme", "somme", usual, GUESS),
                ("somme", "sum", usual, GUESS),
                ("max", "MAX", usual, GUESS),
                ("max", "max", usual, ANSWER / 3),
            ],
        };
        for (action, name, layouts, patience) in guesses {
            // Where nothing at all came to the first name, no other one helps.
            let is_silent = attempts.iter().all(|attempt| attempt.got.starts_with("nothing for"));
            if is_silent && !attempts.is_empty() && name != "max" {
                continue;
            }
            for layout in layouts {
                if began.elapsed() > LEARN {
                    break;
                }
                let understands = self.understands(layout, action, name, patience, &mut attempts);
                let is_gone = self.target.is_gone;
                let told = |stop: Stop| stop.after(&attempts, is_gone).and_hint(is_guess, SAY);
                if understands.map_err(told)? {
                    self.layout = Some(layout.clone());
                    self.names.insert(action, name.to_owned());
                    return Ok(());
                }
            }
        }
        Err(Failure::of_attempts("a right answer", attempts).hint(is_guess, SAY).into())
    }

    /// Whether two questions are answered right, in the same place of the reply.
    fn understands(
        &mut self,
        layout: &Layout,
        action: &str,
        name: &str,
        patience: Duration,
        attempts: &mut Vec<Attempt>,
    ) -> Outcome<bool> {
        let mut places: Vec<usize> = (0..MAX_AFTER).collect();
        for numbers in ["4 14 27", "31 8 6"] {
            let answers = answers(action, numbers);
            let mut client = self.target.connect_greeted()?;
            client.ask(&layout.packets(name, numbers));
            let is_right = |reply: &str, after: &usize| is_answer(reply, *after, &answers);
            client.reply_until(patience, |reply| places.iter().any(|after| is_right(reply, after)));
            places.retain(|after| is_right(&client.text(), after));
            attempts.push(client.attempt());
            if places.is_empty() {
                return Ok(false);
            }
        }
        self.after = places[0];
        Ok(true)
    }

    /// Finds out what the server calls `action`: a name that gives a right answer.
    fn learn_name(&mut self, action: &'static str, numbers: &str) -> Outcome {
        let (layout, answers) = (self.layout()?.clone(), answers(action, numbers));
        let answers_shown: Vec<_> = answers.iter().map(|it| round(*it).to_string()).collect();
        let expected = format!("the answer {}", answers_shown.join(" or "));
        let (began, mut attempts, mut wrong) = (Instant::now(), Vec::new(), None);
        for name in self.names_to_try(action) {
            if began.elapsed() > LEARN / 2 {
                break;
            }
            let connected = self.target.connect_greeted();
            let mut client = connected.map_err(|stop| {
                let example = layout.packets(&name, "1 2 3").concat();
                stop.after(&attempts, self.target.is_gone)
                    .and_hint(true, format!("show its name, such as --say {example:?}"))
            })?;
            client.ask(&layout.packets(&name, numbers));
            let patience = if attempts.is_empty() { ANSWER } else { 2 * GUESS };
            if client.reply_until(patience, |reply| is_answer(reply, self.after, &answers)) {
                self.names.insert(action, name);
                return Ok(());
            }
            if answer(&client.text(), self.after).is_some() {
                wrong = wrong.or_else(|| Some(client.failure(&expected)));
            }
            attempts.push(client.attempt());
        }
        Err(wrong.unwrap_or_else(|| Failure::of_attempts(&expected, attempts)).into())
    }

    /// The name that is known; or all, those in the language of the sum first, in capitals if
    /// another one is.
    fn names_to_try(&self, action: &str) -> Vec<String> {
        if let Some(name) = self.names.get(action) {
            return vec![name.clone()];
        }
        if self.names.values().any(|name| name.parse::<u8>().is_ok()) {
            return (0..10).map(|number| number.to_string()).collect(); // They are those of a menu.
        }
        let mut languages = names(action);
        let sum = self.names.get("somme").map(|name| name.to_lowercase()).unwrap_or_default();
        if names("somme")[1].contains(&&*sum) {
            languages.reverse();
        }
        let are_capital = self.names.values().any(|name| *name == name.to_uppercase());
        let case = if are_capital { str::to_uppercase } else { str::to_owned };
        languages.concat().into_iter().map(case).collect()
    }

    fn layout(&self) -> Outcome<&Layout> {
        self.layout.as_ref().ok_or(Stop::NotTried("no question gets a right answer".to_owned()))
    }

    fn question(&self, action: &str, numbers: &str) -> Outcome<Vec<String>> {
        let layout = self.layout()?;
        match self.names.get(action) {
            Some(name) => Ok(layout.packets(name, &numbers.replace('.', self.decimal_mark))),
            None => not_tried(format!("`{action}` gets no right answer")),
        }
    }

    /// A new client that has asked.
    fn begin(&mut self, action: &str, numbers: &str) -> Outcome<Client> {
        let question = self.question(action, numbers)?;
        let mut client = self.target.connect_greeted()?;
        client.ask(&question);
        Ok(client)
    }

    /// A new client asks, and gets the answer.
    fn ask(&mut self, action: &str, numbers: &str, answer: f64) -> Outcome {
        let mut client = self.begin(action, numbers)?;
        self.expect(&mut client, answer)
    }

    fn expect(&self, client: &mut Client, answer: f64) -> Outcome {
        let is_right = client.reply_until(ANSWER, |reply| is_answer(reply, self.after, &[answer]));
        ensure(is_right, || client.failure(format!("the answer {}", round(answer))))
    }

    fn need_tokens(&self) -> Outcome {
        need(self.reads_tokens, "it takes questions otherwise")
    }

    /// Asks as our pages write it, and waits for as many answers.
    fn ask_in_tokens(&mut self, question: &str, answers: &[f64]) -> Outcome {
        self.layout()?;
        let mut client = self.target.connect_greeted()?;
        client.ask(&[question]);
        let are_right = client.reply_until(ANSWER, |reply| {
            let shown = numbers(reply, true);
            shown.len() == answers.len()
                && shown.iter().zip(answers).all(|((_, shown), answer)| shows(shown, *answer))
        });
        let expected = answers.iter().map(f64::to_string).collect::<Vec<_>>().join(", then ");
        ensure(are_right, || client.failure(format!("{expected}, and no other number")))
    }
}

/// The French and the English names of an action.
fn names(action: &str) -> [&'static [&'static str]; 2] {
    let named = ACTIONS.into_iter().find(|[french, _]| french[0] == action);
    named.expect("it is one of the statement's")
}

/// The action that has this name, in whatever letter case, as the statement calls it.
fn action_called(name: &str) -> Option<&'static str> {
    let is_called = |known: &&str| known.to_lowercase() == name.to_lowercase();
    let action = ACTIONS.into_iter().find(|names| names.concat().iter().any(is_called));
    action.map(|[french, _]| french[0])
}

/// The right answers, of which the standard deviation has two: of all, and of a sample.
fn answers(action: &str, numbers: &str) -> Vec<f64> {
    let numbers: Vec<f64> = numbers.split(' ').map(value).collect();
    let (n, sum): (f64, f64) = (numbers.iter().map(|_| 1.0).sum(), numbers.iter().sum());
    let squares: f64 = numbers.iter().map(|number| (number - sum / n).powi(2)).sum();
    match action {
        "max" => vec![numbers.into_iter().fold(f64::NEG_INFINITY, f64::max)],
        "min" => vec![numbers.into_iter().fold(f64::INFINITY, f64::min)],
        "somme" => vec![sum],
        "moyenne" => vec![sum / n],
        _ => vec![(squares / n).sqrt(), (squares / (n - 1.0)).sqrt()],
    }
}

/// The number of a reply that so many others follow, as it is shown.
fn answer(reply: &str, after: usize) -> Option<&str> {
    numbers(reply, true).iter().nth_back(after).map(|(_, number)| *number)
}

fn is_answer(reply: &str, after: usize, answers: &[f64]) -> bool {
    answer(reply, after).is_some_and(|shown| answers.iter().any(|answer| shows(shown, *answer)))
}

/// Whether `shown` is `exact` to the digits that it shows, rounded or cut off; only a whole number
/// may be shown without decimals.
fn shows(shown: &str, exact: f64) -> bool {
    let (mantissa, exponent) = shown.split_once(['e', 'E']).unwrap_or((shown, "0"));
    let decimals = mantissa.split_once(['.', ',']).map_or(0, |(_, decimals)| decimals.len());
    let places = i32::try_from(decimals).unwrap_or(0) - exponent.parse::<i32>().unwrap_or(0);
    let unit = if places > 0 { 0.99 * 0.1_f64.powi(places) } else { 0.0 };
    (value(shown) - exact).abs() <= unit.max(1e-9)
}

fn round(answer: f64) -> f64 {
    (answer * 1000.0).round() / 1000.0
}
