CREATE ROLE shop LOGIN PASSWORD 'shop';
CREATE DATABASE shop OWNER shop;
\connect shop
SET ROLE shop;
CREATE TABLE orders (
    id integer PRIMARY KEY,
    item text NOT NULL,
    quantity integer NOT NULL
);
INSERT INTO orders (id, item, quantity) VALUES
    (1, 'anchor', 2),
    (2, 'compass', 1),
    (3, 'lantern', 4),
    (4, 'rope', 12),
    (5, 'sextant', 1);
