import { assert, describe, it } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Database from "../src/options/Database.ts"
import * as Settings from "../src/options/Settings.ts"
import { passwordIn } from "../src/Postgres.ts"

const found = (env: Record<string, string>, flag?: string) => Database.of(Option.fromUndefinedOr(flag), env, "/home/me")

const file = (env: Record<string, string>, flag?: string) => Effect.map(found(env, flag), ({ filename }) => filename)

const hrefOf = (server: Redacted.Redacted<URL> | undefined) => server === undefined ? "" : Redacted.value(server).href

describe("the database", () => {
  it.effect("is where the flag says, before all", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* file({ FANOUT_DB: "/b.db", XDG_STATE_HOME: "/s" }, "/a.db"), "/a.db")
      assert.strictEqual(yield* file({}, "a.db"), `${process.cwd()}/a.db`)
    }))

  it.effect("is where FANOUT_DB says, else in XDG's folder, else in the home folder", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* file({ FANOUT_DB: "/b.db", XDG_STATE_HOME: "/s" }), "/b.db")
      assert.strictEqual(yield* file({ XDG_STATE_HOME: "/s/" }), "/s/fanout/jobs.db")
      assert.strictEqual(yield* file({}), "/home/me/.local/state/fanout/jobs.db")
    }))

  it.effect("doesn't count variables that are empty or not absolute", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* file({ FANOUT_DB: "", XDG_STATE_HOME: "s" }), "/home/me/.local/state/fanout/jobs.db")
    }))

  it.effect("may be on a server, and what only this machine knows is in a file then", () =>
    Effect.gen(function*() {
      const { filename, server, shown } = yield* found({}, "postgres://me@db.example:6000/jobs?sslmode=require")
      assert.strictEqual(filename, "/home/me/.local/state/fanout/jobs.db")
      assert.strictEqual(shown, "postgres://me@db.example:6000/jobs?sslmode=require")
      assert.strictEqual(hrefOf(server), "postgres://me@db.example:6000/jobs?sslmode=require")
    }))

  it.effect("has no files while it is in memory, and one of its name is none of it", () =>
    Effect.gen(function*() {
      const files = (db: string) =>
        Effect.provideService(Settings.databaseFiles, Settings.db, Option.some(FilePath.make(db)))
      assert.deepStrictEqual(yield* files(":memory:"), [])
      const { length } = yield* files(`${import.meta.dirname}/:memory:`)
      assert.strictEqual(length, 4)
    }))

  it.effect("is told of without its password, and takes none from where all can read it", () =>
    Effect.gen(function*() {
      for (const address of ["postgres://me:s3cret@db/jobs", "postgresql://me@db/jobs?password=s3cret&x=1"]) {
        const { server, shown } = yield* found({ FANOUT_DB: address })
        assert.notInclude(shown, "s3cret")
        assert.include(hrefOf(server), "s3cret")
        assert.notInclude(JSON.stringify({ server }), "s3cret")
        const { code, sentence } = yield* Effect.flip(found({}, address))
        assert.strictEqual(code, 2)
        assert.include(sentence, "PGPASSFILE")
        assert.notInclude(sentence, "s3cret")
      }
      for (
        const odd of [
          "postgres://me:s3cret@[/jobs",
          "postgres://me:1?s3cret@db/jobs",
          "postgres://me:1#s3cret@db/jobs",
          "postgres://%:s3cret@db/jobs",
          "postgres://me@db/jobs#s3cret",
          "postgres://me@db/jobs?PASSWORD=s3cret",
          "postgres://me@db/jobs?p%41ssword=s3cret",
          "postgres://me@db/jobs;password=s3cret",
          "postgres://me@db/jobs?sslmode=s3cret",
          "postgres://me@db/jobs?sslmode=require;password=s3cret",
          "postgres://me@db/jobs?port=5432;password=s3cret",
          "postgres:/me:s3cret@db/jobs",
          "postgress://me:s3cret@db/jobs",
          "mysql://me:s3cret@db/jobs",
          " postgres://me:s3cret@db/jobs",
          "\"postgres://me:s3cret@db/jobs\"",
          "host=db user=me password=s3cret",
          "Password = 's3cret'"
        ]
      ) {
        const { code, sentence } = yield* Effect.flip(found({ FANOUT_DB: odd }))
        assert.strictEqual(code, 2)
        assert.notInclude(sentence, "s3cret")
      }
      assert.notInclude((yield* found({ FANOUT_DB: "POSTGRES://me:s3cret@db/jobs" })).shown, "s3cret")
      for (const name of ["sslpassword", "SSLPASSWORD", "pwd", "token", "options", "application_name", "constructor"]) {
        const { shown } = yield* found({}, `postgres://me@db/jobs?user=me&${name}=s3cret&channel_binding=require`)
        assert.strictEqual(shown, "postgres://me@db/jobs?user=me")
      }
    }))
})

describe("a password file", () => {
  const login = { host: "db", port: "5432", database: "jobs", user: "me" }

  it("gives the password of the first line that fits", () => {
    const text = "# db:5432:jobs:me:commented\nother:5432:jobs:me:no\n*:5432:*:me:first\ndb:5432:jobs:me:second\n"
    assert.strictEqual(passwordIn(text, login), "first")
    assert.strictEqual(passwordIn(text, { ...login, port: "6000" }), undefined)
    assert.strictEqual(passwordIn("", login), undefined)
  })

  it("may have colons and backslashes in its fields", () => {
    assert.strictEqual(passwordIn("db:5432:jobs:me:a\\:b\\\\c\r\n", login), "a:b\\c")
    assert.strictEqual(passwordIn("a\\:b:5432:jobs:me:x", { ...login, host: "a:b" }), "x")
    assert.strictEqual(passwordIn("db:5432:jobs", login), undefined)
  })
})
