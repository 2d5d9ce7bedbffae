-- Every way to define something that a dump may write otherwise than it was written.
create extension pg_trgm; create extension pgcrypto; create extension btree_gist; create extension postgres_fdw;
create schema "Odd ""Schema";
create schema ext; create extension citext schema ext;
set search_path to "Odd ""Schema", public, ext;
create type mood as enum ('sad','ok','happy'); alter type mood add value 'so so' before 'ok';
create type addr as (street text, city varchar(40) collate "C", zip char(5));
create type fr as range (subtype = float8, subtype_diff = float8mi);
create domain posint as integer default 3 not null check (value > 0) check (value between 1 and 10 and value <> 7);
create domain code as varchar(10) check (value in ('a','b','it''s (x)'));
create domain cz as text collate "C" constraint "my chk" check (value ~ '^[a-z]+::text$');
create function f_imm(i integer, j text default 'x (y)', variadic k text[] default array['a','b']) returns integer language sql immutable begin atomic select case when j in ('a','b') and i between 1 and 5 then i * (i + 2) else -1 end; end;
create function f_txt(a integer = -1, b numeric = 1.50, c timestamptz = now(), d code = 'a') returns table(x int, y text) language plpgsql stable strict security definer cost 5 rows 7 set search_path = pg_catalog, "Odd ""Schema" set datestyle = 'ISO, DMY' as $f$ begin return query select 1, 'a	b
c\n'; end $f$;
create procedure p(inout a int) language plpgsql as 'begin a := a + 1; end';
create function sqlf(v varchar) returns boolean language sql begin atomic select v in ('a','b','c') and not (v like 'x%' or v = any(array['q','r'])); end;
create aggregate my_sum(int4) (sfunc = int4pl, stype = int4, initcond = '0');
create function osfx(internal, int) returns internal language internal as 'ordered_set_transition';
create table "My Table" ("Id" int generated always as identity (start 5 increment 3 maxvalue 10000 cache 4 cycle) primary key,
  status varchar(10) default 'new' check (status in ('new','old','it''s')), net cidr check (net in ('10.0.0.0/8','192.168.0.0/16')),
  a int default -1, b bigint default -1, c numeric(10,2) default 1.5, d smallint default 0 check (d between 0 and 9 and a > -1),
  e varchar(50) default null::character varying, g int generated always as (a * (b::int + 2)) stored,
  g2 text generated always as (case when status in ('new','old') then lower(status) else 'x' end) stored,
  t timestamptz default (now() at time zone 'utc'), ts timestamptz default '2020-01-01 00:00+00', iv interval default '1 day 02:00', money money default '12.50',
  m mood default 'ok', p posint, cd code, ad addr default row('a','b','12345'), arr text[] default '{}', arr2 varchar[] default array['a','b'], j jsonb default '{"a": [1]}', f8 double precision default 0.1,
  ci ext.citext check (ci in ('a','b')), u uuid default gen_random_uuid(), x text collate "C" check (x <> all (array['u','v'])), bt bit(3) default b'101', bp char(4) check (bp in ('aa','bb')), n name check (n in ('a','b')),
  unique (a, b) deferrable initially deferred, constraint "c()" check (not (a in (1,2,3) or c in (1, 2.5)) and (status is null or (status = 'x' and cd in ('a','b')))));
create table child (extra posint, d2 date) inherits ("My Table");
create table child2 (y int) inherits (child);
alter table only "My Table" alter a set default 77;
alter table child alter b set default 12; alter table child alter c drop default;
alter table "My Table" add column late varchar(3) default 'l' not null;
alter table "My Table" drop column e;
create table res (room int, during tstzrange, kind varchar(5), exclude using gist (room with =, during with &&) where (kind in ('a','b')));
create index on "My Table" (lower(status), (a + b) desc nulls last) include (c) where status in ('new','old') and a between 1 and 3;
create unique index "Uq x" on "My Table" (status collate "C" text_pattern_ops) where not (cd in ('a','b'));
create index on "My Table" using gin (x gin_trgm_ops) with (fastupdate = off);
create table part (id int, k varchar(5) not null default 'q', d date not null, check (k in ('q','r')), primary key (id, d)) partition by range (d);
create table part_a partition of part for values from (minvalue) to ('2020-01-01');
create table part_b (d date not null, id int not null, k varchar(5) not null default 'zz', junk int);
alter table part_b drop column junk; alter table part_b add check (k in ('q','r')); alter table part_b rename constraint part_b_k_check to part_k_check;
alter table part attach partition part_b for values from ('2020-01-01') to ('2021-01-01');
create table part_def partition of part default ;
create table lp (k varchar(5)) partition by list ((case when k in ('a','b') then 'x' else k end)); create table lpq partition of lp for values in ('q', null);
create table hashp (id int) partition by hash (id); create table hashp_0 partition of hashp for values with (modulus 2, remainder 0);
create index on part (k, (upper(k))); create unlogged table unl (id serial primary key, v varchar(3) check (v in ('a','b')));
create table refs (id int primary key, pid int, pd date, foreign key (pid, pd) references part (id, d) on update cascade on delete set null not valid, constraint nv check (id > 0) not valid);
alter table refs replica identity full;
create function trg() returns trigger language plpgsql as $$ begin return new; end $$;
create trigger t1 after update of k on part for each row when (old.k in ('q','r') and new.d between '2020-01-01' and '2020-02-01' and old.* is distinct from new.*) execute function trg('a (b)', '1');
create constraint trigger t2 after insert on refs deferrable initially deferred for each row execute function trg();
create trigger t3 before insert on "My Table" for each statement execute function trg(); alter table "My Table" disable trigger t3;
create trigger t4 after insert on refs referencing new table as nt for each statement execute function trg(); alter table refs enable always trigger t4;
alter table part_a disable trigger t1;
create function et() returns event_trigger language plpgsql as $$ begin end $$;
create event trigger ev on ddl_command_end when tag in ('DROP TABLE','CREATE TABLE') execute function et(); alter event trigger ev disable;
create view v1 with (security_barrier, check_option = cascaded) as select * from "My Table" where status in ('new','old') and a between 1 and 5 and not b in (1,2);
create view v2 as select p.*, r.room, count(*) over (partition by p.k order by p.d rows between 1 preceding and current row) as w from part p left join res r on r.room = p.id and r.kind in ('a','b') where (p.id, p.d) in (select id, pd from refs) or exists (select from unl where v = any ('{a,b}'));
create view v3 as with recursive t(n) as (values (1) union all select n + 1 from t where n < 5) select n, n in (1,2) as i, extract(year from now()) as y, case n when 1 then 'a' else 'b' end, coalesce(n, 0) - -1 as neg, 'lit''s' as l, -n as mn from t group by 1 having count(*) > 0 union (select 1,true,2,'x',3,'y',4 except select 1,true,2,'x',3,'y',4) order by 1;
create view v4 as select * from part join refs using (id) natural join (select 1 as one) s where part.k not in ('a', 'b') and position('a' in k) > 0 and substring(k from 1 for 2) like 'a%' and k similar to 'a|b' and (d, d + 1) overlaps (d, d + 2) and d at time zone 'utc' < now() and k is not null is true and (part.*) is not null;
create view v5 as select distinct on (a) a, grouping(a), string_agg(x, ',' order by x) filter (where x in ('a','b')), array(select 1), percentile_cont(0.5) within group (order by a) from "My Table" tablesample system (50) group by rollup (a, b), grouping sets ((a), ());
create view v6 as select xmlelement(name foo, x), jsonb_path_query(j, '$.a'), (ad).city, arr[1:2], row(a,b)::text, interval '1' day * 2, date '2020-01-01', trim(both 'x' from status), current_user, current_date from "My Table", lateral (select 1) l, generate_series(1,3) with ordinality g(s, o), rows from (generate_series(1,2), unnest(arr)) as rf(a1,b1);
alter table refs rename column pid to "P id"; alter table part add column added text; alter table res rename to reservation;
create view circ_a as select 1 as x; create view circ_b as select x from circ_a; create or replace view circ_a as select 1 as x where exists (select 1);
create materialized view mv as select k, count(*) from part where k in ('q','r') group by k; create unique index on mv (k);
create materialized view mv2 as select * from v1 with no data;
create rule r1 as on insert to v2 where new.k in ('a','b') do instead insert into refs values (new.id, 1, '2020-01-01');
create rule r2 as on update to refs do also notify x; alter table refs disable rule r2;
create table rls (o name default current_user, v varchar(5)); alter table rls enable row level security; alter table rls force row level security;
create policy pol on rls as restrictive for update to emr_owner, "Dr. O'Hara" using (o = current_user and v in ('a','b')) with check (v between 'a' and 'b' and o <> '');
create server fs foreign data wrapper postgres_fdw options (host '/x'); create foreign table ft (a int options (column_name 'b') not null, b varchar(3) default 'q' check (b in ('q','r'))) server fs options (table_name 'z');
create function eqm(mood, text) returns boolean language sql immutable as $$ select $1::text = $2 $$;
create operator === (leftarg = mood, rightarg = text, function = eqm);
create function m2i(mood) returns int language sql immutable as 'select 1'; create cast (mood as int) with function m2i(mood);
create view vop as select m === 'x' as o, m::int as i from "My Table" where m in ('sad','ok') and m operator("Odd ""Schema".===) 'y';
create collation de (provider = icu, locale = 'de-DE'); create table coll (a text collate de, b text collate "en-x-icu", c varchar(3) collate "C" default 'x');
create text search configuration tsc (copy = english); create index on coll using gin (to_tsvector('english', a));
create statistics st on status, a from "My Table"; 
create sequence s1 as smallint increment -2 minvalue -100 maxvalue -1 start -1 cycle cache 3; create sequence s2 minvalue 0 start 0;
comment on table part is 'it''s'; comment on column refs.id is 'x'; comment on function trg() is 'c';
create table q (id int primary key default nextval('s2'), cur text default current_user, ar int[] default array[1,2], lc text default 'a'::text || 'b', neg numeric default -1.5, nb numeric default (-1)::bigint * 2);
create type over as enum (); create table typed of addr (street not null);
create function retset() returns setof "My Table" language sql as 'select * from "My Table"';
create view gen as select coalesce(sum(a) filter (where a between 2 and 3 or (b > 1 and (c < 2 or c > 3))), 0) from "My Table" where (a > 1 and b > 2) and (c > 3 and d > 4) and ((a = 1) = (b = 2));
alter schema "Odd ""Schema" owner to emr_owner; alter function trg() owner to "Dr. O'Hara"; alter type mood owner to emr_owner; alter view v3 owner to emr_owner; grant usage on schema ext to emr_owner; alter schema public owner to postgres;
create table bad_parent (z int); create table bad_child () inherits (bad_parent); alter table only bad_parent alter z set not null;
insert into part (id, d) values (1, '2019-01-01'), (2, '2020-05-05');
