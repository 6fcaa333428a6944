mod damage;
mod garbage;
mod golden;
mod shapes;
mod world;
