mod damage;
mod garbage;
mod golden;
mod shapes;
pub(super) mod world;
