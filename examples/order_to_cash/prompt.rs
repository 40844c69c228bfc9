//! `--approve`: each question is put to the terminal, and answered with a name, yes or
//! no, and a reason.

use std::collections::BTreeSet;
use std::io::BufRead as _;
use std::pin::pin;
use std::time::Duration;

use integration_automation_patterns::service::Stop;
use integration_automation_patterns::workflow::WorkflowConfig;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::sleep;

use crate::database::Database;
use crate::question::{Answer, Question, open_questions};
use crate::reason::chain;
use crate::{Outcome, key};

/// The lines that are typed, to the end of the input.
struct Terminal(UnboundedReceiver<String>);

impl Terminal {
    fn open() -> Self {
        let (typed, lines) = unbounded_channel();
        // It ends with the process: nothing but a line wakes it.
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines() {
                let Ok(line) = line else { break };
                if typed.send(line).is_err() {
                    break;
                }
            }
        });
        Self(lines)
    }

    /// The next line; none where nobody types any more.
    async fn line(&mut self, wanted: &str) -> Option<String> {
        say!("  {wanted}");
        Some(self.0.recv().await?.trim().to_owned())
    }

    /// What a person answers to this question: none where they give no name.
    async fn ask(&mut self, question: &Question) -> Option<Option<Answer>> {
        say!("order {} {}", question.number, question.text);
        let who = format!("who are you? (a {}; nothing: later)", question.role);
        let by = self.line(&who).await?;
        if by.is_empty() {
            return Some(None);
        }
        let yes = loop {
            match self.line("yes or no?").await?.as_str() {
                "yes" => break true,
                "no" => break false,
                other => say!("  wanted yes or no; found {other:?}"),
            }
        };
        let why = self.line("why?").await?;
        Some(Some(Answer { by, yes, why }))
    }
}

/// Asks until it is told to stop, or nobody types any more.
pub(crate) async fn run<D: Database>(
    database: D,
    orders: u32,
    config: WorkflowConfig,
    stop: Stop,
) -> Outcome<()> {
    let mut stop = pin!(stop);
    tokio::select! {
        () = &mut stop => Ok(()),
        ended = ask_all(&database, orders, &config) => ended,
    }
}

async fn ask_all(
    database: &impl Database,
    orders: u32,
    config: &WorkflowConfig,
) -> Outcome<()> {
    let (mut terminal, mut put_off) = (Terminal::open(), BTreeSet::new());
    loop {
        for question in open_questions(database, orders).await? {
            let place = (question.number, question.revision);
            if put_off.contains(&place) {
                continue;
            }
            let Some(answer) = terminal.ask(&question).await else {
                say!("nobody types any more: what is asked waits for its deadline");
                return Ok(());
            };
            match answer {
                None => drop(put_off.insert(place)),
                Some(answer) => match decide(database, &question, answer, config).await {
                    Ok(()) => say!("  it is decided"),
                    Err(error) => say!("  not decided: {}", chain(&*error)),
                },
            }
        }
        sleep(Duration::from_millis(300)).await;
    }
}

/// Takes the answer to one question, which must still stand.
pub(crate) async fn decide(
    database: &impl Database,
    question: &Question,
    answer: Answer,
    config: &WorkflowConfig,
) -> Outcome<()> {
    let decided = question.decided(answer)?;
    match database.decide(decided, config).await? {
        true => Ok(()),
        false => Err("the question has changed meanwhile".into()),
    }
}

/// Answers what this order asks, as the command line says.
pub(crate) async fn answer(
    database: &impl Database,
    number: u32,
    answer: Answer,
    config: &WorkflowConfig,
) -> Outcome<()> {
    let at = database.load(&key(number)?).await?;
    let question = at.and_then(|at| Question::of(&at, number));
    let question = question.ok_or_else(|| format!("order {number} asks nothing"))?;
    decide(database, &question, answer, config).await?;
    say!("order {number} {}: decided", question.text);
    Ok(())
}
