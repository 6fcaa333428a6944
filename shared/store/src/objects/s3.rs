//! S3 as an `object_store::ObjectStore`, on `aws-sdk-s3`.
//!
//! Owns: the translation of calls, conditions and errors. Does not own: retries ([`super::retried`]), keys.
//! Objects carry no attributes; versions of a bucket are not looked at.

mod errors;
mod upload;

pub use errors::ServerFailure;

use crate::aws::AwsConfig;
use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{RequestChecksumCalculation, ResponseChecksumValidation};
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use chrono::Utc;
use errors::{generic, translate};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    Attributes, CopyMode, CopyOptions, GetOptions, GetRange, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use std::fmt;
use std::ops::Range;

/// Which bucket, and how it is addressed.
#[derive(Clone, Debug)]
pub struct S3Config {
    /// The bucket's name.
    pub bucket: String,
    /// Another endpoint than the region's, such as a local server's; plain http is allowed.
    pub endpoint: Option<String>,
    /// Whether the bucket stands in the path instead of the host name.
    pub path_style: bool,
}

/// A bucket as an object store.
#[derive(Clone)]
pub struct S3Objects {
    client: Client,
    bucket: String,
}

/// Deletes under way at a time within one stream.
const DELETES_IN_FLIGHT: usize = 16;

impl S3Objects {
    /// Makes a client of a bucket. Does no request.
    pub fn new(config: S3Config, aws: &AwsConfig) -> S3Objects {
        let mut builder = aws_sdk_s3::config::Builder::from(&aws.sdk).force_path_style(config.path_style);
        if let Some(endpoint) = config.endpoint {
            // Other servers than Amazon's often know none of the newer checksums.
            builder = builder.endpoint_url(endpoint).request_checksum_calculation(RequestChecksumCalculation::WhenRequired);
            builder = builder.response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        }
        S3Objects { client: Client::from_conf(builder.build()), bucket: config.bucket }
    }

    /// Creates the bucket if it does not exist: for local servers; a deployment declares it in `infra/`.
    pub async fn create_bucket(&self) -> crate::Result<()> {
        match self.client.create_bucket().bucket(&self.bucket).send().await {
            Ok(_) => Ok(()),
            Err(error) if matches!(errors::code(&error), Some("BucketAlreadyOwnedByYou" | "BucketAlreadyExists")) => Ok(()),
            Err(error) => Err(crate::Error::Refused { operation: "create bucket", source: errors::source(error) }),
        }
    }

    async fn put_once(
        &self,
        location: &Path,
        body: bytes::Bytes,
        mode: &PutMode,
    ) -> std::result::Result<PutResult, ServerFailure> {
        let mut request = self.client.put_object().bucket(&self.bucket).key(location.as_ref()).body(ByteStream::from(body));
        request = match mode {
            PutMode::Overwrite => request,
            PutMode::Create => request.if_none_match("*"),
            PutMode::Update(version) => request.set_if_match(version.e_tag.clone()),
        };
        match request.send().await {
            Ok(output) => Ok(PutResult { e_tag: output.e_tag, version: None }),
            Err(error) => Err(ServerFailure::of_sdk(error)),
        }
    }

    async fn head(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let request = self.client.head_object().bucket(&self.bucket).key(location.as_ref());
        let request = request.set_if_match(options.if_match).set_if_none_match(options.if_none_match);
        let request = request.set_if_modified_since(options.if_modified_since.map(seconds));
        let request = request.set_if_unmodified_since(options.if_unmodified_since.map(seconds));
        let output = request.send().await.map_err(|error| translate(location, ServerFailure::of_sdk(error)))?;
        let size = size(output.content_length)?;
        let meta = ObjectMeta {
            location: location.clone(),
            last_modified: time(output.last_modified)?,
            size,
            e_tag: output.e_tag,
            version: None,
        };
        let payload = GetResultPayload::Stream(stream::empty().boxed());
        Ok(GetResult { payload, meta, range: 0..0, attributes: Attributes::new() })
    }

    fn pages(&self, prefix: Option<&Path>, start_after: Option<&Path>, delimited: bool) -> BoxStream<'static, Result<Page>> {
        let request = self.client.list_objects_v2().bucket(&self.bucket);
        let prefix = prefix.map(|prefix| prefix.as_ref()).filter(|prefix| !prefix.is_empty()).map(|prefix| format!("{prefix}/"));
        let request = request.set_prefix(prefix).set_start_after(start_after.map(Path::to_string));
        let request = request.set_delimiter(delimited.then(|| "/".to_owned()));
        let pages = stream::try_unfold(Some((request, None::<String>)), |state| async move {
            let Some((request, token)) = state else { return Ok(None) };
            let output =
                request.clone().set_continuation_token(token).send().await.map_err(|error| generic(errors::source(error)))?;
            let next = output.next_continuation_token.clone().map(|token| (request, Some(token)));
            Ok(Some((Page::of(output)?, next)))
        });
        pages.boxed()
    }

    fn objects(&self, prefix: Option<&Path>, start_after: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let pages = self.pages(prefix, start_after, false);
        pages.map_ok(|page| stream::iter(page.objects.into_iter().map(Ok))).try_flatten().boxed()
    }
}

/// One page of a listing.
struct Page {
    objects: Vec<ObjectMeta>,
    common_prefixes: Vec<Path>,
}

impl Page {
    fn of(output: aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output) -> Result<Page> {
        let object = |object: aws_sdk_s3::types::Object| {
            let location = Path::parse(object.key.unwrap_or_default())?;
            Ok(ObjectMeta {
                location,
                last_modified: time(object.last_modified)?,
                size: size(object.size)?,
                e_tag: object.e_tag,
                version: None,
            })
        };
        let prefixes = output.common_prefixes.unwrap_or_default().into_iter().filter_map(|prefix| prefix.prefix);
        Ok(Page {
            objects: output.contents.unwrap_or_default().into_iter().map(object).collect::<Result<_>>()?,
            common_prefixes: prefixes.map(|prefix| Ok(Path::parse(prefix)?)).collect::<Result<_>>()?,
        })
    }
}

fn seconds(time: chrono::DateTime<Utc>) -> DateTime {
    DateTime::from_secs(time.timestamp())
}

fn time(time: Option<DateTime>) -> Result<chrono::DateTime<Utc>> {
    let time = time.and_then(|time| chrono::DateTime::from_timestamp(time.secs(), time.subsec_nanos()));
    time.ok_or_else(|| generic("answer has no valid last-modified time".into()))
}

fn size(size: Option<i64>) -> Result<u64> {
    size.and_then(|size| u64::try_from(size).ok()).ok_or_else(|| generic("answer has no valid size".into()))
}

/// Parses `bytes 5-9/100` into the range and the size of the whole.
fn content_range(header: &str) -> Option<(Range<u64>, u64)> {
    let (range, whole) = header.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    Some((first.parse().ok()?..last.parse::<u64>().ok()?.checked_add(1)?, whole.parse().ok()?))
}

fn range_header(range: &GetRange) -> Result<String> {
    match range {
        GetRange::Bounded(range) if range.start >= range.end => Err(generic(format!("range {range:?} is empty").into())),
        GetRange::Bounded(range) => Ok(format!("bytes={}-{}", range.start, range.end - 1)),
        GetRange::Offset(offset) => Ok(format!("bytes={offset}-")),
        GetRange::Suffix(len) => Ok(format!("bytes=-{len}")),
    }
}

fn body(body: ByteStream) -> BoxStream<'static, Result<bytes::Bytes>> {
    stream::try_unfold(body, |mut body| async move {
        let chunk = body.try_next().await.map_err(|error| generic(Box::new(error)))?;
        Ok(chunk.map(|chunk| (chunk, body)))
    })
    .boxed()
}

impl fmt::Debug for S3Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S3Objects({})", self.bucket)
    }
}

impl fmt::Display for S3Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.bucket)
    }
}

#[async_trait]
impl ObjectStore for S3Objects {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        errors::refuse_attributes(&options.attributes)?;
        if matches!(&options.mode, PutMode::Update(version) if version.e_tag.is_none()) {
            return Err(generic("a conditional update needs an e-tag".into()));
        }
        // A 409 of a conditional put says "decide again", not "exists".
        let put = self.put_once(location, bytes::Bytes::from(payload), &options.mode).await;
        put.map_err(|cause| errors::translate_put(location, &options.mode, cause))
    }

    async fn put_multipart_opts(&self, location: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        errors::refuse_attributes(&options.attributes)?;
        Ok(Box::new(upload::S3Upload::begin(self.client.clone(), self.bucket.clone(), location.clone()).await?))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if options.head {
            return self.head(location, options).await;
        }
        let range = options.range.as_ref().map(range_header).transpose()?;
        let request = self.client.get_object().bucket(&self.bucket).key(location.as_ref()).set_range(range.clone());
        let request = request.set_if_match(options.if_match).set_if_none_match(options.if_none_match);
        let request = request.set_if_modified_since(options.if_modified_since.map(seconds));
        let request = request.set_if_unmodified_since(options.if_unmodified_since.map(seconds));
        let output = request.send().await.map_err(|error| translate(location, ServerFailure::of_sdk(error)))?;
        let answered = output.content_range.as_deref().and_then(content_range);
        if range.is_some() && answered.is_none() {
            return Err(generic("a ranged get was answered without a content range".into()));
        }
        let whole = size(output.content_length)?;
        let (range, size) = answered.unwrap_or((0..whole, whole));
        let meta = ObjectMeta {
            location: location.clone(),
            last_modified: time(output.last_modified)?,
            size,
            e_tag: output.e_tag,
            version: None,
        };
        Ok(GetResult { payload: GetResultPayload::Stream(body(output.body)), meta, range, attributes: Attributes::new() })
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let objects = self.clone();
        let deletes = locations.map(move |location| {
            let objects = objects.clone();
            async move {
                let location = location?;
                let outcome = objects.client.delete_object().bucket(&objects.bucket).key(location.as_ref()).send().await;
                outcome.map_err(|error| translate(&location, ServerFailure::of_sdk(error)))?;
                Ok(location)
            }
        });
        deletes.buffered(DELETES_IN_FLIGHT).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.objects(prefix, None)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.objects(prefix, Some(offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let pages: Vec<Page> = self.pages(prefix, None, true).try_collect().await?;
        let (objects, prefixes): (Vec<_>, Vec<_>) = pages.into_iter().map(|page| (page.objects, page.common_prefixes)).unzip();
        Ok(ListResult { objects: objects.concat(), common_prefixes: prefixes.concat() })
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        if options.mode == CopyMode::Create {
            // Not every server knows a conditional copy; what we copy is small.
            let bytes = self.get(from).await?.bytes().await?;
            return self.put_opts(to, bytes.into(), PutMode::Create.into()).await.map(|_| ());
        }
        let source = format!("{}/{}", self.bucket, errors::percent_encode(from.as_ref()));
        let request = self.client.copy_object().bucket(&self.bucket).key(to.as_ref()).copy_source(source);
        request.send().await.map(|_| ()).map_err(|error| translate(from, ServerFailure::of_sdk(error)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_http_ranges() {
        assert_eq!(range_header(&GetRange::Bounded(2..5)).unwrap(), "bytes=2-4");
        assert_eq!(range_header(&GetRange::Offset(7)).unwrap(), "bytes=7-");
        assert_eq!(range_header(&GetRange::Suffix(3)).unwrap(), "bytes=-3");
        assert!(range_header(&GetRange::Bounded(5..5)).is_err());
        assert_eq!(content_range("bytes 5-9/100"), Some((5..10, 100)));
        assert_eq!(content_range("bytes */100"), None);
    }
}
