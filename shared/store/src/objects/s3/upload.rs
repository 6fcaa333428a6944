//! Multipart uploads.

use super::errors::{ServerFailure, generic, source, translate};
use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use futures::FutureExt;
use object_store::path::Path;
use object_store::{MultipartUpload, PutPayload, PutResult, Result, UploadPart};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// One upload under way. Parts may finish in any order.
#[derive(Debug)]
pub struct S3Upload {
    client: Client,
    bucket: String,
    location: Path,
    id: String,
    begun: i32,
    /// E-tags of finished parts by part number.
    finished: Arc<Mutex<BTreeMap<i32, String>>>,
}

impl S3Upload {
    pub async fn begin(client: Client, bucket: String, location: Path) -> Result<S3Upload> {
        let request = client.create_multipart_upload().bucket(&bucket).key(location.as_ref());
        let output = request.send().await.map_err(|error| translate(&location, ServerFailure::of_sdk(error)))?;
        let id = output.upload_id.ok_or_else(|| generic("a multipart upload was begun without an id".into()))?;
        Ok(S3Upload { client, bucket, location, id, begun: 0, finished: Arc::default() })
    }

    fn parts(&self) -> Result<Vec<CompletedPart>> {
        let finished = self.finished.lock().expect("no call panics while it holds the lock");
        if finished.len() != self.begun as usize {
            return Err(generic(format!("{} of {} parts were uploaded", finished.len(), self.begun).into()));
        }
        let part = |(number, e_tag): (&i32, &String)| CompletedPart::builder().part_number(*number).e_tag(e_tag).build();
        Ok(finished.iter().map(part).collect())
    }
}

#[async_trait]
impl MultipartUpload for S3Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.begun += 1;
        let (number, finished) = (self.begun, self.finished.clone());
        let request = self.client.upload_part().bucket(&self.bucket).key(self.location.as_ref()).upload_id(&self.id);
        let request = request.part_number(number).body(ByteStream::from(bytes::Bytes::from(data)));
        async move {
            let output = request.send().await.map_err(|error| generic(source(error)))?;
            let e_tag = output.e_tag.ok_or_else(|| generic("a part was uploaded without an e-tag".into()))?;
            finished.lock().expect("no call panics while it holds the lock").insert(number, e_tag);
            Ok(())
        }
        .boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        if self.begun == 0 {
            // S3 wants at least one part, which may be empty.
            self.put_part(PutPayload::new()).await?;
        }
        let parts = CompletedMultipartUpload::builder().set_parts(Some(self.parts()?)).build();
        let request = self.client.complete_multipart_upload().bucket(&self.bucket).key(self.location.as_ref());
        let output = request.upload_id(&self.id).multipart_upload(parts).send().await;
        let output = output.map_err(|error| translate(&self.location, ServerFailure::of_sdk(error)))?;
        Ok(PutResult { e_tag: output.e_tag, version: None })
    }

    async fn abort(&mut self) -> Result<()> {
        let request = self.client.abort_multipart_upload().bucket(&self.bucket).key(self.location.as_ref()).upload_id(&self.id);
        request.send().await.map(|_| ()).map_err(|error| translate(&self.location, ServerFailure::of_sdk(error)))
    }
}
