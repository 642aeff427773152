//! What the checker asks of `math`.

use std::time::Instant;

use anyhow::{Context, Result};

use super::talk::{
    ANSWER, Attempt, Check, Client, Exercise, Failure, GUESS, LEARN, Outcome, Target, ensure,
    not_tried, numbers, value, wait,
};

/// The statement's actions, and what they may be called. The names of the first and the last are
/// the same in French and in English, so `max` is what the layout is found with.
#[derive(Clone, Copy, PartialEq)]
enum Action {
    Max,
    Sum,
    Mean,
    Deviation,
    Min,
}

impl Action {
    /// French names, then English ones; the most usual first.
    fn names(self) -> [&'static [&'static str]; 2] {
        match self {
            Self::Max => [&["max", "maximum"], &[]],
            Self::Sum => [&["somme", "addition", "total"], &["sum", "add"]],
            Self::Mean => [&["moyenne", "moy"], &["mean", "average", "avg"]],
            Self::Deviation => [
                &[
                    "écart-type",
                    "ecart-type",
                    "ecart_type",
                    "ecarttype",
                    "ecartType",
                    "écart",
                    "ecart",
                    "écart type",
                    "ecart type",
                    "écart_type",
                    "écarttype",
                    "écartType",
                ],
                &[
                    "stddev",
                    "std",
                    "stdev",
                    "sd",
                    "standard-deviation",
                    "standard_deviation",
                    "standard deviation",
                    "std_dev",
                    "std-dev",
                    "stdDev",
                    "standardDeviation",
                    "deviation",
                    "sigma",
                ],
            ],
            Self::Min => [&["min", "minimum"], &[]],
        }
    }
}

/// Where the action and the numbers stand in a question, and what stands between two numbers.
/// What follows a line end or a NUL, which is not sent, goes into a packet of its own.
#[derive(Clone)]
struct Layout {
    form: String,
    separator: String,
}

const ACTION: &str = "{action}";
const NUMBERS: &str = "{numbers}";

/// The most usual layouts first.
const LAYOUTS: &[(&str, &str)] = &[
    ("{action}\n{numbers}\n=\n", "\n"),
    ("{action}\n{numbers}\n=\n", " "),
    ("{action} {numbers} =\n", " "),
    ("{action} {numbers}\n=\n", " "),
    ("{action} {numbers}=\n", " "),
    ("{action}\n{numbers} =\n", " "),
    ("{action} {numbers}=\n", ","),
    ("{action}:{numbers}=\n", ","),
    ("{action},{numbers},=\n", ","),
    ("{action};{numbers};=\n", ";"),
    ("{action},{numbers}=\n", ","),
    ("{action};{numbers}=\n", ";"),
    ("{action}\n{numbers}\n=\n", ","),
    ("{action}\n{numbers}\n=\n", ";"),
    ("{action}:{numbers}=\n", " "),
    ("{action}:{numbers}=\n", ";"),
    ("{action} {numbers}=\n", ";"),
    ("{action} {numbers} =\n", ", "),
    ("{action} {numbers} =\n", ","),
    ("{action}: {numbers} =\n", ", "),
    ("{action} {numbers}\n=\n", ","),
    ("{action}:{numbers}\n=\n", ","),
    ("{action}\n{numbers}=\n", ","),
    ("{action}\n{numbers}=\n", " "),
    ("{action}({numbers})=\n", ","),
    ("{action}|{numbers}|=\n", "|"),
    ("{action}\r\n{numbers}\r\n=\r\n", "\r\n"),
    ("{action} {numbers} =\r\n", " "),
    ("{action}\0{numbers}\0=", "\0"),
    ("{action}\0{numbers}\0=", " "),
    ("{action} {numbers} =", " "),
    ("{action} {numbers}=", ","),
];

impl Layout {
    /// From how the sum of 1, 2 and 3 is asked; returns how that calls the sum, too.
    fn of_example(example: &str) -> Result<(Self, String)> {
        let found = numbers(example, false);
        let digits: Vec<&str> =
            found.iter().map(|at| example[at.clone()].trim_start_matches('-')).collect();
        let three = digits.windows(3).rposition(|digits| digits == ["1", "2", "3"]);
        let at = three.context("--say: expected how the sum of 1, 2 and 3 is asked")?;
        let (before, after) = (&example[..found[at].start], &example[found[at + 2].end..]);
        let separator = &example[found[at].end..found[at + 1].start];
        // The last word that is a name of the sum, or else just the last word.
        let is_letter = |char: char| char.is_alphanumeric() || "-_".contains(char);
        let words = || before.split(|char| !is_letter(char)).filter(|word| !word.is_empty());
        let is_name = |word: &&str| Action::Sum.names().concat().contains(&&*word.to_lowercase());
        let name = words().rev().find(is_name).or_else(|| words().next_back());
        let name = name.context("--say: expected the name of the sum before its numbers")?;
        let start = before.rfind(name).unwrap_or_default();
        let (first, rest) = (&before[..start], &before[start + name.len()..]);
        let form = [first, ACTION, rest, NUMBERS, after].concat();
        Ok((Self { form, separator: separator.to_owned() }, name.to_owned()))
    }

    /// A question, in the packets that it is sent in.
    fn ask(&self, name: &str, numbers: &[&str]) -> Vec<String> {
        let numbers = numbers.join(&self.separator);
        let text = self.form.replace(ACTION, name).replace(NUMBERS, &numbers);
        text.split_inclusive(['\n', '\0']).map(|part| part.replace('\0', "")).collect()
    }
}

/// How the server speaks.
struct Dialect {
    layout: Layout,
    /// How many numbers follow the answer in a reply.
    after_answer: usize,
}

pub(super) struct Math {
    target: Target,
    /// The layout and the name of the sum in the example that was given.
    example: Option<(Layout, String)>,
    dialect: Option<Dialect>,
    names: Vec<(Action, String)>,
    decimal_mark: char,
    /// Whether it takes questions as our pages write them.
    reads_tokens: bool,
}

impl Exercise for Math {
    const ASKED: &'static [Check<Self>] = &[
        ("a question is answered", Self::learn),
        ("`somme` adds up", |math| math.learn_name(Action::Sum, &["1", "2", "3"], &[6.0])),
        ("`moyenne` is the mean", |math| math.learn_name(Action::Mean, &["2", "9", "4"], &[5.0])),
        ("a mean may not be whole", |math| {
            math.ask(Action::Mean, &["1", "2"], 1.5)?;
            math.ask(Action::Mean, &["3", "1", "4"], 8.0 / 3.0)
        }),
        ("`écart-type` is the standard deviation, of all or of a sample", |math| {
            let numbers = ["2", "4", "4", "4", "5", "5", "7", "9"];
            math.learn_name(Action::Deviation, &numbers, &[2.0, (32.0_f64 / 7.0).sqrt()])
        }),
        ("`min` is the smallest, of positive numbers, too", |math| {
            math.learn_name(Action::Min, &["5", "3", "7"], &[3.0])
        }),
        ("`max` is the largest, of negative numbers, too", |math| {
            math.learn_name(Action::Max, &["3", "8", "7"], &[8.0])?;
            math.ask(Action::Max, &["-5", "-3", "-7"], -3.0)
        }),
        ("numbers may have decimals", |math| {
            let numbers = ["1.5", "2.25", "0.5"];
            math.ask(Action::Max, &numbers, 2.25).or_else(|stop| {
                // The statement leaves open which mark they have.
                math.decimal_mark = ',';
                math.ask(Action::Max, &numbers, 2.25).map_err(|_| stop)
            })
        }),
        ("the next question on a connection takes its own numbers alone", |math| {
            let mut client = math.connect()?;
            math.expect(&mut client, Action::Max, &["40", "50"], 50.0)?;
            client.ask(&math.question(Action::Max, &["1", "2"])?);
            let reply = client.reply(ANSWER);
            // A server may well answer one question a client.
            let is_over = client.end.is_some() || math.answer(&reply).is_none();
            ensure(is_over || math.is_answer(&reply, 2.0), || {
                client.failure("the answer 2").hint(true, "are the numbers forgotten after `=`?")
            })
        }),
        ("two clients at once each get their own answer", |math| {
            // The second asks all while the first is in the middle of its question, or before it.
            let [mut first, mut second] = [math.connect()?, math.connect()?];
            let question = math.question(Action::Max, &["50", "2"])?;
            let (begun, rest) = question.split_at(question.len() / 2);
            first.ask(begun);
            math.expect(&mut second, Action::Max, &["10", "20"], 20.0)?;
            first.ask(rest);
            let reply = first.reply(ANSWER);
            ensure(math.is_answer(&reply, 50.0), || first.failure("the answer 50"))
        }),
        ("a client that breaks off disturbs nobody after it", |math| {
            let question = math.question(Action::Max, &["80", "90"])?.concat();
            let end = question.rfind("90").unwrap_or_default();
            let mut client = math.connect()?;
            client.ask(&[&question[..end]]);
            wait(&mut [client], GUESS / 2, |_| false);
            math.ask(Action::Max, &["4", "5"], 5.0)
        }),
    ];

    const FURTHER: &'static [Check<Self>] = &[
        ("tokens may be on one line or on several, with LF or CR LF", |math| {
            for question in ["max 1 2 =\n", "max\n1\n2\n=\n", "max 1\r\n2\r\n=\r\n"] {
                math.expect_line(question, &[2.0])?;
            }
            math.reads_tokens = true;
            Ok(())
        }),
        ("actions have French and English names, in any letter case", |math| {
            math.need_tokens()?;
            for action in ["somme", "SUM", "Moyenne", "mean", "average", "min", "MAX"] {
                math.expect_line(&format!("{action} 5 =\n"), &[5.0])?;
            }
            for action in ["écart-type", "Ecart-Type", "stddev"] {
                math.expect_line(&format!("{action} 5 =\n"), &[0.0])?;
            }
            Ok(())
        }),
        ("the standard deviation is the population's", |math| {
            math.ask(Action::Deviation, &["2", "4", "4", "4", "5", "5", "7", "9"], 2.0)
        }),
        ("numbers may be negative, and have exponents", |math| {
            math.ask(Action::Sum, &["-1.5", "1e3", "25e-2"], 998.75)
        }),
        ("the answer is a line with nothing but the number, and all its digits", |math| {
            let mut client = math.connect()?;
            client.ask(&math.question(Action::Mean, &["1", "2", "2"])?);
            let reply = client.reply(ANSWER);
            let line = reply.strip_suffix('\n').unwrap_or_default().trim_end_matches('\r');
            let number = line.parse().unwrap_or(f64::NAN);
            ensure((number - 5.0 / 3.0).abs() < 1e-12, || {
                client.failure("1.6666666666666667").hint(line.contains(','), "it has a comma")
            })
        }),
        ("several questions are answered on one connection, also in one packet", |math| {
            math.need_tokens()?;
            math.expect_line("max 1 3 =\nmax 4 =\nmin 6 7 =\n", &[3.0, 4.0, 6.0])
        }),
        ("a number cut in two packets is one number", |math| {
            let question = math.question(Action::Sum, &["5", "12"])?.concat();
            let (first, second) = question.split_at(question.rfind("12").unwrap_or_default() + 1);
            let mut client = math.connect()?;
            client.ask(&[first, second]);
            let reply = client.reply(ANSWER);
            ensure(math.is_answer(&reply, 17.0), || client.failure("the answer 17"))
        }),
    ];

    const BY_HAND: &'static str = "your client, and what the server prints, if it prints anything";

    fn target(&mut self) -> &mut Target {
        &mut self.target
    }

    fn speaks(&self) -> Option<String> {
        let Dialect { layout, .. } = self.dialect.as_ref()?;
        let name = self.names.first().map_or("max", |(_, name)| name);
        Some(format!("{:?}", layout.ask(name, &["1", "2", "3"]).concat()))
    }
}

impl Math {
    pub fn new(target: Target, example: Option<&str>) -> Result<Self> {
        let example = example.map(Layout::of_example).transpose()?;
        let (names, decimal_mark) = (Vec::new(), '.');
        Ok(Self { target, example, dialect: None, names, decimal_mark, reads_tokens: false })
    }

    fn connect(&mut self) -> Outcome<Client> {
        if self.dialect.is_none() {
            return not_tried("no question was answered");
        }
        self.target.connect_greeted()
    }

    /// Finds out how a question is laid out: with `max`, the same word in French and in English,
    /// then with other names in the most usual layouts.
    fn learn(&mut self) -> Outcome {
        let (began, mut attempts) = (Instant::now(), Vec::<Attempt>::new());
        let usual = LAYOUTS.iter().map(|(form, separator)| Layout {
            form: (*form).to_owned(),
            separator: (*separator).to_owned(),
        });
        let usual: Vec<Layout> = usual.collect();
        let guesses: Vec<(&str, Action, &[Layout])> = vec![
            ("max", Action::Max, &usual),
            ("somme", Action::Sum, &usual[..8]),
            ("sum", Action::Sum, &usual[..8]),
            ("MAX", Action::Max, &usual[..8]),
        ];
        let example = self.example.clone();
        let guesses = match &example {
            None => guesses,
            Some((layout, sum)) => vec![(&**sum, Action::Sum, std::slice::from_ref(layout))],
        };
        for (name, action, layouts) in guesses {
            // Where nothing at all came to the first name, no other one helps.
            if attempts.len() >= usual.len()
                && attempts.iter().all(|attempt| attempt.got.starts_with("nothing"))
            {
                break;
            }
            for layout in layouts {
                if began.elapsed() > LEARN {
                    break;
                }
                if self.understands(layout, name, action, &mut attempts)? {
                    self.names.push((action, name.to_owned()));
                    return Ok(());
                }
            }
        }
        let failure = Failure::of_attempts("an answer, the largest number or the sum", &attempts);
        Err(failure.hint(example.is_none(), SAY).into())
    }

    /// Whether the server answers two questions, with the answer in the same place of its reply.
    fn understands(
        &mut self,
        layout: &Layout,
        name: &str,
        action: Action,
        attempts: &mut Vec<Attempt>,
    ) -> Outcome<bool> {
        let mut place = None;
        for numbers in [["4", "27", "13"], ["31", "8", "5"]] {
            let answer = match action {
                Action::Sum => numbers.iter().map(|number| value(number)).sum(),
                _ => numbers.iter().map(|number| value(number)).fold(0.0, f64::max),
            };
            let mut client = match self.target.connect_greeted() {
                Ok(client) => client,
                Err(stop) if attempts.is_empty() => return Err(stop),
                Err(_) => {
                    let failure = Failure::of_attempts("an answer to a question", attempts);
                    let hint = format!("then the server was gone; {SAY}");
                    return Err(failure.hint(true, hint).into());
                }
            };
            client.ask(&layout.ask(name, &numbers));
            let patience = if self.example.is_some() { ANSWER } else { GUESS };
            let reply = client.reply(patience);
            attempts.push(client.attempt());
            let found = numbers_of(&reply).iter().rev().position(|shown| shows(shown, answer));
            if found.is_none() || place.is_some() && place != found {
                return Ok(false);
            }
            place = found;
        }
        let after_answer = place.unwrap_or_default();
        self.dialect = Some(Dialect { layout: layout.clone(), after_answer });
        Ok(true)
    }

    /// Finds out what the server calls `action`: one that gives one of the `answers`.
    fn learn_name(&mut self, action: Action, numbers: &[&str], answers: &[f64]) -> Outcome {
        let mut attempts = Vec::new();
        let mut wrong = None;
        for name in self.names_to_try(action) {
            let mut client = self.connect()?;
            let Some(Dialect { layout, .. }) = &self.dialect else { continue };
            client.ask(&layout.ask(&name, numbers));
            let reply = client.reply(if attempts.is_empty() { ANSWER } else { GUESS });
            if answers.iter().any(|answer| self.is_answer(&reply, *answer)) {
                self.names.retain(|(known, _)| *known != action);
                self.names.push((action, name));
                return Ok(());
            }
            if self.answer(&reply).is_some() && wrong.is_none() {
                wrong = Some(client.failure(format!("the answer {}", answers[0])));
            }
            attempts.push(client.attempt());
        }
        let none = || Failure::of_attempts(&format!("the answer {}", answers[0]), &attempts);
        Err(wrong.unwrap_or_else(none).into())
    }

    /// The name that is known; or all, those in the language of the sum first, in capitals if
    /// another one is.
    fn names_to_try(&self, action: Action) -> Vec<String> {
        if let Ok(name) = self.name(action) {
            return vec![name];
        }
        let [mut first, mut second] = action.names();
        let sum = self.name(Action::Sum).unwrap_or_default();
        if Action::Sum.names()[1].contains(&&*sum.to_lowercase()) {
            std::mem::swap(&mut first, &mut second);
        }
        let are_capital = self.names.iter().any(|(_, name)| *name == name.to_uppercase());
        let names = first.iter().chain(second);
        names
            .map(|name| if are_capital { name.to_uppercase() } else { (*name).to_owned() })
            .collect()
    }

    fn name(&self, action: Action) -> Outcome<String> {
        let known = self.names.iter().find(|(known, _)| *known == action);
        match known {
            Some((_, name)) => Ok(name.clone()),
            None => not_tried(format!("`{}` gets no right answer", action.names()[0][0])),
        }
    }

    fn question(&self, action: Action, numbers: &[&str]) -> Outcome<Vec<String>> {
        let name = self.name(action)?;
        match &self.dialect {
            Some(Dialect { layout, .. }) => {
                let mark = self.decimal_mark.to_string();
                let numbers: Vec<_> = numbers.iter().map(|n| n.replace('.', &mark)).collect();
                Ok(layout.ask(&name, &numbers.iter().map(String::as_str).collect::<Vec<_>>()))
            }
            None => not_tried("no question was answered"),
        }
    }

    /// Asks on a new connection.
    fn ask(&mut self, action: Action, numbers: &[&str], answer: f64) -> Outcome {
        let mut client = self.connect()?;
        self.expect(&mut client, action, numbers, answer)
    }

    fn expect(
        &self,
        client: &mut Client,
        action: Action,
        numbers: &[&str],
        answer: f64,
    ) -> Outcome {
        client.ask(&self.question(action, numbers)?);
        let reply = client.reply(ANSWER);
        let expected = || client.failure(format!("the answer {}", round(answer)));
        ensure(self.is_answer(&reply, answer), expected)
    }

    fn need_tokens(&self) -> Outcome {
        if self.reads_tokens { Ok(()) } else { not_tried("it takes questions otherwise") }
    }

    /// Asks in our own way of writing, and waits for as many answers.
    fn expect_line(&mut self, question: &str, answers: &[f64]) -> Outcome {
        let mut client = self.connect()?;
        client.ask(&[question]);
        let reply = client.reply(ANSWER);
        let shown = numbers_of(&reply);
        let are_right = shown.len() == answers.len()
            && shown.iter().zip(answers).all(|(shown, answer)| shows(shown, *answer));
        ensure(are_right, || client.failure(format!("the answers {answers:?}")))
    }

    /// The answer as it is shown in a reply.
    fn answer<'a>(&self, reply: &'a str) -> Option<&'a str> {
        let after_answer = self.dialect.as_ref()?.after_answer;
        numbers_of(reply).into_iter().rev().nth(after_answer)
    }

    fn is_answer(&self, reply: &str, answer: f64) -> bool {
        self.answer(reply).is_some_and(|shown| shows(shown, answer))
    }
}

const SAY: &str = "show how the sum of 1, 2 and 3 is asked, such as --say 'somme 1 2 3 =\\n'";

fn numbers_of(reply: &str) -> Vec<&str> {
    numbers(reply, true).into_iter().map(|at| &reply[at]).collect()
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
