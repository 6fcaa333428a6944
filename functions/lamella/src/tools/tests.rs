mod damage;
mod golden;
mod shapes;
mod world;
