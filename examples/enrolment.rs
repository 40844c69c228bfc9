//! Students enrol in courses: a place is reserved, the registrar approves where a course is
//! full, and billing and the timetable follow. One student is refused by the registrar and
//! one by the registry, and neither keeps a place.
//!
//! ```text
//! cargo run --example enrolment --features workflow,sqlite,serde
//! ```

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use integration_automation_patterns::broker::in_process;
use integration_automation_patterns::inbox::sqlite::{Handle, Sqlite};
use integration_automation_patterns::inbox::worker::Handlers;
use integration_automation_patterns::inbox::{self, Classify, HandlerError, InboxConfig};
use integration_automation_patterns::outbox::{self, sqlite::Outbox};
use integration_automation_patterns::relay::Relay;
use integration_automation_patterns::service::Service;
use integration_automation_patterns::workflow::{
    Choice, Cleared, Driven, InstanceId, QuestionAsked, Undo, Wire, WireJson,
    WorkflowConfig, sqlite as workflows,
};
// The macro and the module: `use workflow::{self, ..}` would import the module alone.
use integration_automation_patterns::workflow;
use integration_automation_patterns::{Event, EventId, Facts, RawEvent, RetryPolicy};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use serde::{Deserialize, Serialize};

use enrolment::{This, step};
use login::{ItDesk, Registrar, Student};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Who wants to be in which course: what most messages say.
#[derive(Clone, Serialize, Deserialize)]
struct Wish {
    student: String,
    course: String,
}

/// What an instance knows: the wish, and the seats that are left with it.
#[derive(Serialize, Deserialize)]
struct Enrolment {
    wish: Wish,
    seats_left: i64,
}

impl Enrolment {
    fn is_over_capacity(&self) -> bool {
        self.seats_left < 0
    }
}

// How data and messages become bytes is the program's choice: here it is JSON.
impl WireJson for Wish {}
impl WireJson for Enrolment {}

macro_rules! messages {
    ($($name:ident($content:ty) $text:literal;)*) => { $(
        #[derive(Serialize, Deserialize)]
        struct $name($content);

        impl Event for $name {
            const TYPE: &'static str = $text;
        }

        impl WireJson for $name {}
    )* };
}

messages! {
    ReservePlace(Wish) "campus.place.reserve";
    PlaceReserved(i64) "campus.place.reserved";
    NoSuchCourse(()) "campus.place.refused";
    FreePlace(Wish) "campus.place.free";
    PlaceFreed(()) "campus.place.freed";
    Enrol(Wish) "campus.student.enrol";
    Enrolled(()) "campus.student.enrolled";
    EnrolRefused(()) "campus.student.refused";
    BillFees(Wish) "billing.fees.bill";
    FeesBilled(()) "billing.fees.billed";
    AddToTimetable(Wish) "timetable.course.add";
    CourseAdded(()) "timetable.course.added";
}

/// The login: it alone has the key, and so it alone gives out seats.
mod login {
    use integration_automation_patterns::workflow::{PersonError, Role, Seat};

    pub(crate) struct Key(());

    macro_rules! roles {
        ($($role:ident $text:literal;)*) => { $(
            pub(crate) enum $role {}

            impl Role for $role {
                const NAME: &'static str = $text;
                type Key = Key;
            }
        )* };
    }

    roles! { Student "student"; Registrar "registrar"; ItDesk "it desk"; }

    pub(crate) fn seat<R: Role<Key = Key>>(name: &str) -> Result<Seat<R>, PersonError> {
        Seat::mint(&Key(()), name)
    }
}

workflow! {
    /// From the wish to be in a course to the timetable.
    mod enrolment of Enrolment requested by Student, version 1 {
        compensatable reserve_place: ReservePlace => PlaceReserved | NoSuchCourse,
            undone by FreePlace => PlaceFreed within 1 h else asks ItDesk within 4 h,
            within 15 min else undo;
        approval over_capacity of Wish when Enrolment::is_over_capacity:
            asks Registrar within 2 d else refuse;
        pivot enrol needs over_capacity: Enrol => Enrolled | EnrolRefused,
            within 1 h else asks ItDesk within 4 h;
        retriable bill: BillFees => FeesBilled, within 2 d else asks ItDesk within 1 d;
        retriable plan: AddToTimetable => CourseAdded, within 2 d else asks ItDesk within 1 d;
    }
}

impl enrolment::Ask for Enrolment {
    fn reserve_place(&self) -> ReservePlace {
        ReservePlace(self.wish.clone())
    }

    fn over_capacity(&self) -> Wish {
        self.wish.clone()
    }

    fn enrol(&self, cleared: &Cleared<step::over_capacity>) -> Enrol {
        Enrol(cleared.shown().clone())
    }

    fn bill(&self) -> BillFees {
        BillFees(self.wish.clone())
    }

    fn plan(&self) -> AddToTimetable {
        AddToTimetable(self.wish.clone())
    }
}

impl enrolment::Undo for Enrolment {
    fn reserve_place(&self) -> FreePlace {
        FreePlace(self.wish.clone())
    }
}

impl enrolment::Learn for Enrolment {
    fn reserve_place(&mut self, PlaceReserved(left): PlaceReserved) {
        self.seats_left = left;
    }

    fn enrol(&mut self, _: Enrolled) {}

    fn bill(&mut self, _: FeesBilled) {}

    fn plan(&mut self, _: CourseAdded) {}
}

#[tokio::main]
async fn main() -> Outcome {
    let name = format!("enrolment-{}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&folder)?;
    let (campus, systems) = (folder.join("campus.db"), folder.join("systems.db"));
    let wishes =
        [("ada", "algebra"), ("bob", "greek"), ("cleo", "latin"), ("dora", "algebra")];
    for (student, course) in wishes {
        ask(&campus, Wish { student: student.into(), course: course.into() })?;
    }
    run(&campus, &systems).await?;
    for (student, course) in wishes {
        let id = InstanceId::<This>::of(&format!("{student} in {course}"))?.to_string();
        let status = "SELECT status FROM workflow_instance WHERE id = ?1";
        let status: String = open(&campus)?.query_row(status, [id], |row| row.get(0))?;
        println!("{student:<5}{course:<8} {status}");
    }
    let kept = "SELECT group_concat(student ORDER BY student) FROM place";
    let kept: String = open(&systems)?.query_row(kept, [], |row| row.get(0))?;
    assert_eq!(kept, "ada,bob", "a place is kept by those who are enrolled");
    Ok(std::fs::remove_dir_all(&folder)?)
}

/// A connection that waits for its turn: each file has many users.
fn open(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    Ok(connection)
}

/// The student's own request: the instance and its first command are one transaction.
fn ask(campus: &Path, wish: Wish) -> Outcome {
    let mut campus = open(campus)?;
    outbox::sqlite::install(&mut campus)?;
    inbox::sqlite::install(&mut campus)?;
    workflows::install(&mut campus)?;
    let id = InstanceId::of(&format!("{} in {}", wish.student, wish.course))?;
    let seat = login::seat::<Student>(&wish.student)?;
    let first = enrolment::start(id, Enrolment { wish, seats_left: 0 }, &seat);
    let request = campus.transaction()?;
    workflows::begin(&request, first, &WorkflowConfig::default())?;
    Ok(request.commit()?)
}

/// Runs the campus and the systems that it commands, until nobody waits for anything.
async fn run(campus: &Path, systems: &Path) -> Outcome {
    let (commands, commanded) = in_process(16); // or NATS, RabbitMQ, Kafka
    let (replies, replied) = in_process(16);
    let sends =
        Relay::new("campus", Outbox::open(campus)?, commands, Default::default())?;
    let answers =
        Relay::new("systems", Outbox::open(systems)?, replies, Default::default())?;
    let week = Duration::from_secs(7 * 24 * 60 * 60);
    let memory = InboxConfig::new(week, RetryPolicy::DEFAULT)?;
    let receive = inbox::sqlite::handlers().otherwise(|campus, reply| {
        workflows::receive::<This, _>(campus, reply, &WorkflowConfig::default()).map(drop)
    });
    let (serve, default) = (serve(campus, systems, &memory)?, Default::default);
    let manager =
        inbox::sqlite::Worker::open(campus, memory.clone(), replied, receive, default())?;
    let served =
        inbox::sqlite::Worker::open(systems, memory, commanded, serve, default())?;
    let clerk = workflows::Clerk::open(campus, WorkflowConfig::default())?.of::<This>();
    let waiting = open(campus)?;
    Service::new()
        .part("sends", |stop| sends.run(stop))
        .part("answers", |stop| answers.run(stop))
        .part("manager", |stop| manager.run(stop))
        .part("systems", |stop| served.run(stop))
        .part("clerk", |stop| clerk.run(stop)) // takes the deadlines that pass
        .run(async {
            let sql = "SELECT count(*) FROM workflow_instance WHERE due_at IS NOT NULL";
            while waiting.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap_or(1) > 0
            {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await?;
    Ok(())
}

/// The systems that take part. Each command has its effect once, and its answer leaves with
/// it. Questions go to the registrar.
fn serve(
    campus: &Path,
    systems: &Path,
    memory: &InboxConfig,
) -> Outcome<Handlers<Sqlite, impl Handle + use<>>> {
    open(systems)?.execute_batch("CREATE TABLE place (student PRIMARY KEY, course)")?;
    let (campus, memory) = (campus.to_owned(), memory.clone());
    Ok(inbox::sqlite::handlers()
        .on::<ReservePlace>()
        .decode(Wire::read)
        .effect(|systems, command| {
            let ReservePlace(Wish { student, course }) = &command.payload;
            systems.execute("INSERT INTO place VALUES (?1, ?2)", [student, course])?;
            let left = if course == "algebra" { 30 } else { -1 };
            answer(systems, &command, &PlaceReserved(left))
        })
        .on::<FreePlace>()
        .decode(Wire::read)
        .effect(move |systems, command| {
            let FreePlace(Wish { student, .. }) = &command.payload;
            match workflows::undoing(systems, &command, &memory)? {
                Undo::Of => {
                    systems.execute("DELETE FROM place WHERE student = ?1", [student])?;
                }
                Undo::Nothing => {} // it was never reserved, and never will be
                Undo::Forgotten => {
                    Err("nobody knows whether it was reserved").permanent()?
                }
            }
            answer(systems, &command, &PlaceFreed(()))
        })
        .on::<Enrol>()
        .decode(Wire::read)
        .effect(|systems, command| match command.payload.0.student.as_str() {
            "dora" => answer(systems, &command, &EnrolRefused(())), // she owes fees
            _ => answer(systems, &command, &Enrolled(())),
        })
        .on::<BillFees>()
        .decode(Wire::read)
        .effect(|systems, command| answer(systems, &command, &FeesBilled(())))
        .on::<AddToTimetable>()
        .decode(Wire::read)
        .effect(|systems, command| answer(systems, &command, &CourseAdded(())))
        .otherwise(move |_, event| match event.event_type() {
            QuestionAsked::TYPE => decide(&campus, event),
            _ => Ok(()), // a question that is closed
        }))
}

/// The reply, by the outbox of the transaction that has the effect.
fn answer<R: Event + Wire>(
    systems: &Transaction<'_>,
    command: &Facts<RawEvent>,
    reply: &R,
) -> Result<(), HandlerError> {
    let reply = workflow::answer(command, "systems", reply)?.build()?;
    Ok(outbox::sqlite::enqueue(systems, reply).map(drop)?)
}

/// What the registrar reads of a question.
#[derive(Deserialize)]
struct Question {
    instance: String,
    shown: String,
    seen: String,
}

/// The registrar decides. There is one more chair in the room for Greek, and none for Latin.
fn decide(campus: &Path, asked: &Facts<RawEvent>) -> Result<(), HandlerError> {
    let Question { instance, shown, seen } =
        serde_json::from_slice(asked.payload().bytes())?;
    let wish = Wish::read(shown.as_bytes())?;
    let (choice, why) = match wish.course.as_str() {
        "greek" => (Choice::Approve(seen.parse()?), "one more chair"),
        _ => (Choice::Refuse, "no chair is left"),
    };
    println!("{} in {}: {why}", wish.student, wish.course);
    let ruling = login::seat::<Registrar>("ruth")?.decide(why)?;

    let mut campus = open(campus)?;
    let desk = campus.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let id = InstanceId::<This>::from(instance.parse::<EventId>()?);
    let Some(at) = workflows::load(&desk, &id)? else { return Ok(()) };
    // A question that comes again is closed by then.
    let Ok(step) = This::decide(at, choice, ruling.into()) else { return Ok(()) };
    workflows::store(&desk, step, &WorkflowConfig::default())?;
    Ok(desk.commit()?)
}
