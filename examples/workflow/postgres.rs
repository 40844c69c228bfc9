//! A PostgreSQL database.

use std::path::Path;

use integration_automation_patterns::workflow::postgres::{self as workflows, Desk};
use integration_automation_patterns::workflow::{self, WorkflowDatabase};
use tokio_postgres::{Config, Error};

use crate::arguments::Move;
use crate::company::{self, This};
use crate::database::{Database, TABLE, no_table};
use crate::line::Line;
use crate::moves::{NotMade, step};
use crate::work::Outcome;

pub(crate) struct Schema {
    config: Config,
    line: Line,
    desk: Desk,
}

impl Schema {
    pub(crate) async fn connect(url: &str, ca: Option<&Path>) -> Outcome<Self> {
        let config: Config = url.parse()?;
        let line = Line::of(&config, ca)?;
        let sql = "SELECT to_regclass(quote_ident(current_schema()) || '.' || $1) \
             IS NOT NULL";
        let found = line.client(&config).await?.query_one(sql, &[&TABLE]).await?;
        if !found.try_get::<_, bool>(0)? {
            return Err(no_table().into());
        }
        let desk = match &line {
            Line::Plain => Desk::connect(config.clone()).await?,
            #[cfg(feature = "tls")]
            Line::Secure(tls) => Desk::connect_tls(config.clone(), tls).await?,
        };
        let desk = desk.of::<This>().config(company::config());
        Ok(Self { config, line, desk })
    }
}

impl Database for Schema {
    fn desk(&self) -> &workflow::Desk<impl WorkflowDatabase> {
        &self.desk
    }

    async fn make(&self, wanted: &Move) -> Result<(), NotMade> {
        let client = self.line.client(&self.config).await;
        let mut client = client.map_err(NotMade::Failed)?;
        let desk = client.transaction().await?;
        let id = wanted.id.clone().into();
        let found = workflows::load::<This, _, _>(&desk, &id).await?;
        let step = step(found.ok_or(NotMade::NoneSuch)?, wanted)?;
        let stored = workflows::store(&desk, step, &company::config()).await;
        stored.map_err(|refused| refused.into_cause())?;
        Ok(desk.commit().await?)
    }
}

impl From<Error> for NotMade {
    fn from(error: Error) -> Self {
        Self::Failed(error.into())
    }
}
