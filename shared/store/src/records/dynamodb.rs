//! Records in one DynamoDB table: `pk`, `sk`, value `v` (binary), version `n`.
//!
//! Every call is one request on one item (a query or a count: one per page), every read but a count `ConsistentRead`. Nothing is
//! repeated here: [`super::retried`] does.

use super::{Cas, Delete, Put, Record, RecordKey, RecordStore, check_size};
use crate::aws::AwsConfig;
use crate::{Error, Result};
use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, Select, TableStatus,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use bytes::Bytes;
use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

/// Distance of looks at a table that is being created.
const CREATE_POLL: Duration = Duration::from_millis(100);
/// Looks before giving up: a minute.
const CREATE_POLLS_MAX: u32 = 600;

/// Which table, and where.
#[derive(Clone, Debug)]
pub struct DynamoDbConfig {
    /// The table's name.
    pub table: String,
    /// Another endpoint than the region's, such as a local server's.
    pub endpoint: Option<String>,
}

/// A record store in one DynamoDB table.
#[derive(Clone)]
pub struct DynamoDbRecords {
    client: Client,
    table: String,
}

impl DynamoDbRecords {
    /// Makes a client of a table. Does no request.
    pub fn new(config: DynamoDbConfig, aws: &AwsConfig) -> DynamoDbRecords {
        let mut builder = aws_sdk_dynamodb::config::Builder::from(&aws.sdk);
        builder.set_endpoint_url(config.endpoint);
        DynamoDbRecords { client: Client::from_conf(builder.build()), table: config.table }
    }

    /// Creates the table, billed on demand, if it does not exist: for local servers; a deployment declares it in `infra/`.
    pub async fn create_table(&self) -> Result<()> {
        let attribute = |name: &str| {
            AttributeDefinition::builder()
                .attribute_name(name)
                .attribute_type(ScalarAttributeType::S)
                .build()
                .expect("name and type are set")
        };
        let key = |name: &str, of| {
            KeySchemaElement::builder().attribute_name(name).key_type(of).build().expect("name and type are set")
        };
        let request = self.client.create_table().table_name(&self.table).billing_mode(BillingMode::PayPerRequest);
        let request = request.attribute_definitions(attribute("pk")).attribute_definitions(attribute("sk"));
        match request.key_schema(key("pk", KeyType::Hash)).key_schema(key("sk", KeyType::Range)).send().await {
            Ok(_) => self.until_active().await,
            Err(error) if error.code() == Some("ResourceInUseException") => self.until_active().await,
            Err(error) => Err(failure("create table", Effect::Write, error)),
        }
    }

    /// Waits until a table that is being created may be used; before that, requests answer that it does not exist.
    async fn until_active(&self) -> Result<()> {
        for _ in 0..CREATE_POLLS_MAX {
            let described = self.client.describe_table().table_name(&self.table).send().await;
            let described = described.map_err(|error| failure("describe table", Effect::Read, error))?;
            if described.table.and_then(|table| table.table_status) == Some(TableStatus::Active) {
                return Ok(());
            }
            tokio::time::sleep(CREATE_POLL).await;
        }
        Err(Error::Unavailable { operation: "create table", source: "the table is not active after a minute".into() })
    }
}

impl fmt::Debug for DynamoDbRecords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DynamoDbRecords({})", self.table)
    }
}

/// Whether a lost answer leaves something open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    Read,
    Write,
}

/// Translates an error by what it says of the effect: a throttled or refused request did nothing, a 5xx or a lost answer leaves
/// it open.
fn failure<E>(operation: &'static str, effect: Effect, error: SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let throttled = |code: Option<&str>| {
        matches!(
            code,
            Some(
                "ProvisionedThroughputExceededException"
                    | "ThrottlingException"
                    | "RequestLimitExceeded"
                    | "LimitExceededException"
            )
        )
    };
    let source: crate::error::Source = DisplayErrorContext(&error).to_string().into();
    match &error {
        SdkError::ConstructionFailure(_) => Error::Refused { operation, source },
        SdkError::ServiceError(service) if throttled(service.err().code()) => Error::Unavailable { operation, source },
        SdkError::ServiceError(service) if service.raw().status().is_client_error() => Error::Refused { operation, source },
        _ if effect == Effect::Read => Error::Unavailable { operation, source },
        _ => Error::UnknownOutcome { operation, source },
    }
}

fn condition_failed<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> bool {
    matches!(error, SdkError::ServiceError(service) if service.err().code() == Some("ConditionalCheckFailedException"))
}

/// Returns a bound on items as DynamoDB takes it.
fn clamped(count_max: usize) -> i32 {
    i32::try_from(count_max.max(1)).unwrap_or(i32::MAX)
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn binary(value: &Bytes) -> AttributeValue {
    AttributeValue::B(Blob::new(value.as_ref()))
}

fn record(mut item: HashMap<String, AttributeValue>) -> Result<Record> {
    let mut take = |name: &str| item.remove(name);
    let fields = (take("sk"), take("v"), take("n"));
    let (Some(AttributeValue::S(sort)), Some(AttributeValue::B(value)), Some(AttributeValue::N(version))) = fields else {
        return Err(Error::Corrupt { what: "record without sk, v or n".into() });
    };
    let version = version.parse().map_err(|_| Error::Corrupt { what: format!("version of record {sort}") })?;
    Ok(Record { sort, value: Bytes::from(value.into_inner()), version })
}

#[async_trait]
impl RecordStore for DynamoDbRecords {
    async fn put_if_absent(&self, key: &RecordKey, value: Bytes) -> Result<Put> {
        check_size(&value)?;
        let request = self.client.put_item().table_name(&self.table).condition_expression("attribute_not_exists(pk)");
        let request =
            request.item("pk", text(&key.partition)).item("sk", text(&key.sort)).item("v", binary(&value)).item("n", number(1));
        match request.send().await {
            Ok(_) => Ok(Put::Written),
            Err(error) if condition_failed(&error) => Ok(Put::Exists),
            Err(error) => Err(failure("put record", Effect::Write, error)),
        }
    }

    async fn get(&self, key: &RecordKey) -> Result<Option<Record>> {
        let request = self.client.get_item().table_name(&self.table).consistent_read(true);
        let answer = request.key("pk", text(&key.partition)).key("sk", text(&key.sort)).send().await;
        answer.map_err(|error| failure("get record", Effect::Read, error))?.item.map(record).transpose()
    }

    async fn query_prefix(&self, partition: &str, sort_prefix: &str) -> Result<Vec<Record>> {
        let mut request = self.client.query().table_name(&self.table).consistent_read(true);
        request = request.expression_attribute_values(":pk", text(partition));
        // A sort key is never empty, and `begins_with` of nothing is refused.
        request = match sort_prefix {
            "" => request.key_condition_expression("pk = :pk"),
            prefix => request
                .key_condition_expression("pk = :pk AND begins_with(sk, :sk)")
                .expression_attribute_values(":sk", text(prefix)),
        };
        let (mut records, mut start) = (Vec::new(), None);
        loop {
            let answer = request.clone().set_exclusive_start_key(start).send().await;
            let page = answer.map_err(|error| failure("query records", Effect::Read, error))?;
            for item in page.items.unwrap_or_default() {
                records.push(record(item)?);
            }
            match page.last_evaluated_key {
                Some(last) if !last.is_empty() => start = Some(last),
                _ => return Ok(records),
            }
        }
    }

    async fn count_prefix(&self, partition: &str, sort_prefix: &str, count_max: usize) -> Result<usize> {
        let request = self.client.query().table_name(&self.table).select(Select::Count).limit(clamped(count_max));
        let request = request.key_condition_expression("pk = :pk AND begins_with(sk, :sk)");
        let request = request.expression_attribute_values(":pk", text(partition));
        let request = request.expression_attribute_values(":sk", text(sort_prefix));
        let (mut count, mut start) = (0, None);
        loop {
            let answer = request.clone().set_exclusive_start_key(start).send().await;
            let page = answer.map_err(|error| failure("count records", Effect::Read, error))?;
            count += usize::try_from(page.count).unwrap_or(0);
            match page.last_evaluated_key {
                Some(last) if !last.is_empty() && count < count_max => start = Some(last),
                _ => return Ok(count.min(count_max)),
            }
        }
    }

    async fn cas_update(&self, key: &RecordKey, version: u64, value: Bytes) -> Result<Cas> {
        check_size(&value)?;
        let request = self.client.update_item().table_name(&self.table).update_expression("SET v = :v, n = :next");
        let request = request.condition_expression("n = :n").expression_attribute_values(":n", number(version));
        let request =
            request.expression_attribute_values(":v", binary(&value)).expression_attribute_values(":next", number(version + 1));
        match request.key("pk", text(&key.partition)).key("sk", text(&key.sort)).send().await {
            Ok(_) => Ok(Cas::Updated),
            Err(error) if condition_failed(&error) => Ok(Cas::Stale),
            Err(error) => Err(failure("update record", Effect::Write, error)),
        }
    }

    async fn delete_if(&self, key: &RecordKey, version: u64) -> Result<Delete> {
        let request =
            self.client.delete_item().table_name(&self.table).condition_expression("attribute_not_exists(pk) OR n = :n");
        let request = request.expression_attribute_values(":n", number(version));
        match request.key("pk", text(&key.partition)).key("sk", text(&key.sort)).send().await {
            Ok(_) => Ok(Delete::Deleted),
            Err(error) if condition_failed(&error) => Ok(Delete::Stale),
            Err(error) => Err(failure("delete record", Effect::Write, error)),
        }
    }
}
