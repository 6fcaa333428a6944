//! A write buffer that hands on what became durable to those who tail it.

use std::sync::Arc;

use appender::{Batch, Receipt, WriteBuffer};
use async_trait::async_trait;
use fn_query::live::Hub;
use model::TenantId;

/// A buffer with somebody listening.
#[derive(Debug)]
pub struct Overheard {
    buffer: Arc<dyn WriteBuffer>,
    hub: Hub,
}

impl Overheard {
    /// Makes the buffer.
    pub fn new(buffer: Arc<dyn WriteBuffer>, hub: Hub) -> Overheard {
        Overheard { buffer, hub }
    }
}

#[async_trait]
impl WriteBuffer for Overheard {
    async fn append(&self, tenant: &TenantId, batch: Batch) -> appender::Result<Receipt> {
        // The copy is paid for only while somebody tails the tenant.
        let overheard = match &batch {
            Batch::Logs(logs) if self.hub.is_watched(tenant) => Some(Arc::new(logs.clone())),
            _ => None,
        };
        let receipt = self.buffer.append(tenant, batch).await?;
        if let Some(logs) = overheard {
            self.hub.publish(tenant, &logs);
        }
        Ok(receipt)
    }

    async fn close(&self) {
        self.buffer.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use appender::Error;
    use model::{LogBatch, TimestampNs};

    /// Refuses what has no entry.
    #[derive(Debug)]
    struct Picky;

    #[async_trait]
    impl WriteBuffer for Picky {
        async fn append(&self, _: &TenantId, batch: Batch) -> appender::Result<Receipt> {
            if batch.is_empty() { Err(Error::Burnt { attempts: 1 }) } else { Ok(Receipt::default()) }
        }

        async fn close(&self) {}
    }

    #[tokio::test]
    async fn what_is_durable_is_handed_on() {
        let (hub, tenant) = (Hub::default(), TenantId::anonymous());
        let buffer = Overheard::new(Arc::new(Picky), hub.clone());
        let mut watch = hub.watch(&tenant, 1).expect("nobody else watches");
        assert!(buffer.append(&tenant, Batch::Logs(LogBatch::default())).await.is_err());
        let mut logs = LogBatch::default();
        logs.start_stream(|_| {});
        logs.push_entry(TimestampNs(1), b"x", b"");
        assert!(buffer.append(&tenant, Batch::Logs(logs)).await.is_ok());
        assert_eq!(watch.next().await.map(|batch| batch.entries_len()), Some(1), "what was refused is not handed on");
    }
}
