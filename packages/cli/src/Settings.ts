/**
 * Flags that every command knows.
 */
import * as Flag from "effect/cli/Flag"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { homedir } from "node:os"
import * as Database from "./Database.ts"

/** `--db PATH` */
export const db = GlobalFlag.Setting("db")({
  flag: Flag.String("db").pipe(
    Flag.withMetavar("PATH"),
    Flag.filter((path) => path !== "", () => "Expected the path of a file"),
    Flag.withDescription("Database of jobs (default: FANOUT_DB, else fanout/jobs.db in the folder of XDG_STATE_HOME)"),
    Flag.optional
  )
})

/** Path of the database. */
export const database = Effect.map(
  db,
  (flag) => Database.path({ flag: Option.getOrUndefined(flag), env: process.env, home: homedir() })
)

/** `--json` */
export const json = Flag.Boolean("json").pipe(
  Flag.withDescription("Print one JSON object on each line"),
  Flag.withDefault(false)
)

/** `--quiet` */
export const quiet = Flag.Boolean("quiet").pipe(
  Flag.withAlias("q"),
  Flag.withDescription("Print nothing but what went wrong"),
  Flag.withDefault(false)
)

/** `--concurrency N` */
export const concurrency = Flag.Int("concurrency").pipe(
  Flag.withMetavar("N"),
  Flag.filter((n) => n >= 1 && n <= 1024, () => "Expected a number from 1 to 1024"),
  Flag.withDescription("How many files are worked on at the same time (default: 16)"),
  Flag.optional
)
