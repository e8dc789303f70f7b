import { assert, describe, it } from "@effect/vitest"
import * as Option from "effect/Option"
import * as Settings from "../src/options/Settings.ts"

const path = (env: Record<string, string>, flag?: string) =>
  Settings.databasePath(Option.fromUndefinedOr(flag), env, "/home/me")

describe("the database", () => {
  it("is where the flag says, before all", () => {
    assert.strictEqual(path({ FANOUT_DB: "/b.db", XDG_STATE_HOME: "/s" }, "a.db"), "a.db")
  })

  it("is where FANOUT_DB says, else in XDG's folder, else in the home folder", () => {
    assert.strictEqual(path({ FANOUT_DB: "/b.db", XDG_STATE_HOME: "/s" }), "/b.db")
    assert.strictEqual(path({ XDG_STATE_HOME: "/s/" }), "/s/fanout/jobs.db")
    assert.strictEqual(path({}), "/home/me/.local/state/fanout/jobs.db")
  })

  it("doesn't count variables that are empty or not absolute", () => {
    assert.strictEqual(path({ FANOUT_DB: "", XDG_STATE_HOME: "s" }), "/home/me/.local/state/fanout/jobs.db")
  })
})
