//! Every object key and record key, spelled here and nowhere else. The tenant always comes first (design §5).
//!
//! ```text
//! objects   <tenant>/<signal>/<yyyy-mm-dd>/<hh | day>/<resolution>-l<level>-<id>-<nonce>.seg
//! records   S#<tenant>#<signal>#<yyyy-mm-ddThh>   0#<id>                  L0 item
//!           S#<tenant>#<signal>#<yyyy-mm-ddThh>   HEAD, HEAD#5m, HEAD#1h  parts of the hour
//!           S#<tenant>#<signal>#<yyyy-mm-dd>      HEAD, HEAD#5m, HEAD#1h  parts of the day
//!           S#<tenant>#<signal>#<yyyy-mm>         HEAD, HEAD#5m, HEAD#1h  parts of packed days
//!           S#<tenant>#<signal>#<hour, day, ...>  P#HEAD#<page>, ...    what a head spilt
//!           C#<tenant>#<signal>                   D#<yyyy-mm-dd>          hours with data
//!           C#<tenant>#<signal>                   X#<deletion>            a deletion
//!           C#<tenant>#<signal>                   Q#<id>                  a part in quarantine
//!           R#<tenant>                            E#<epoch>               epochs of the tenant's ring
//!           T#tenants                             <tenant>#<signal>       who has data at all
//!           J#compaction                          cursor, inventory#...   what one compaction run tells the next
//!           I#<tenant>                            <block>                 how far a foreign block is imported
//!           H#<tenant>                            <cluster>               which of the cluster's replicas is elected
//! ```
//! Neither `#` nor `/` can occur in a tenant id, so no key of one tenant is a prefix of another's.

mod object;
mod record;
mod window;

pub use object::ObjectKey;
pub use record::*;
pub use window::{Window, format_day, parse_day, parse_window};
