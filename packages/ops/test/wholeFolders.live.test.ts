import { assert, describe, it } from "@effect/vitest"
import * as JobManager from "@fanout/core/JobManager"
import * as MemoryJobStore from "@fanout/core/MemoryJobStore"
import type { Outcome } from "@fanout/core/Outcome"
import * as OwnerLiveness from "@fanout/core/OwnerLiveness"
import * as Pools from "@fanout/core/Pools"
import * as Copy from "@fanout/ops/Copy"
import * as CopyChecksum from "@fanout/ops/CopyChecksum"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import * as Filter from "@fanout/ops/Filter"
import * as HardLinks from "@fanout/ops/HardLinks"
import { SkipReason } from "@fanout/ops/SkipReason"
import * as SystemFiles from "@fanout/ops/SystemFiles"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import { runs } from "../../../test/effort.ts"
import { QuickFiles } from "../src/internal/files/quickFiles.ts"
import * as Conflict from "../src/internal/steps/conflict.ts"
import * as FaultyFiles from "./FaultyFiles.ts"
import { testFolder } from "./TestFolder.ts"

const Name = Schema.Literals(["a", "b", "c", "\u00e9", "folder"])
const Leaf = Schema.Literals(["file", "empty", "medium", "large", "link", "pipe", "setgid", "twice"])

/** What a folder has in it: at most three levels. */
const Tree = Schema.Array(Schema.Tuple([
  Name,
  Schema.Union([
    Leaf,
    Schema.Array(Schema.Tuple([Name, Schema.Union([Leaf, Schema.Array(Schema.Tuple([Name, Leaf]))])]))
  ])
]))

type Tree = ReadonlyArray<readonly [string, string | Tree]>

/** Who may give away files gives some to others. What has set-id bits would lose them. */
const giveAway = (path: string, seconds: number): void => {
  if (process.getuid?.() === 0) fs.lchownSync(path, 1000 + seconds % 3, 1000 + seconds % 2)
}

const plant = (at: string, tree: Tree, time: { seconds: number }): void => {
  for (const [name, content] of new Map(tree)) {
    const path = `${at}/${name}`
    if (typeof content === "object") {
      fs.mkdirSync(path)
      plant(path, content, time)
      fs.chmodSync(path, 0o750)
    } else if (content === "link") {
      fs.symlinkSync("nowhere", path)
    } else if (content === "pipe") {
      execFileSync("mkfifo", [path])
    } else {
      fs.writeFileSync(path, content === "empty" ? "" : `${content} ${path}`)
      if (content === "medium") fs.writeFileSync(path, Buffer.alloc(300_000, path))
      if (content === "large") fs.truncateSync(path, 9 * 2 ** 20)
      if (content === "setgid") fs.chmodSync(path, 0o2755)
      if (content === "twice") fs.linkSync(path, `${path}.again`)
    }
    if (content !== "setgid") giveAway(path, time.seconds)
    if (content !== "link") fs.utimesSync(path, 1e9, 1e9 + time.seconds++)
  }
}

/** Changes some of the files of a tree, and what there is of others in its copies. */
const disturb = (from: string, copies: ReadonlyArray<string>, elsewhere: string): void => {
  const names = fs.readdirSync(from, { recursive: true, encoding: "latin1" }).toSorted()
  for (const [index, name] of names.entries()) {
    const at = (root: string) => Buffer.from(`${Buffer.from(root).toString("latin1")}/${name}`, "latin1")
    if (!fs.lstatSync(at(from)).isFile()) continue
    if (index % 5 === 0) fs.appendFileSync(at(from), "more")
    for (const copy of copies.map(at).filter((copy) => fs.lstatSync(copy, { throwIfNoEntry: false })?.isFile())) {
      if (index % 5 === 1) fs.utimesSync(copy, 1, 1)
      if (index % 5 > 1) fs.rmSync(copy)
      if (index % 5 === 2) fs.linkSync(elsewhere, copy)
      if (index % 5 === 3) fs.symlinkSync(elsewhere, copy)
      if (index % 5 === 4) {
        fs.mkdirSync(copy)
        fs.utimesSync(copy, 1, 1)
      }
    }
  }
}

const look = (at: string): ReadonlyArray<unknown> =>
  fs.readdirSync(at, { recursive: true, encoding: "latin1" }).toSorted().map((name) => {
    const path = Buffer.from(`${Buffer.from(at).toString("latin1")}/${name}`, "latin1")
    const stat = fs.lstatSync(path, { bigint: true })
    const content = stat.isSymbolicLink()
      ? fs.readlinkSync(path)
      : stat.isFile()
      ? createHash("sha1").update(fs.readFileSync(path)).digest("hex")
      : "folder"
    return [name, content, stat.mode, stat.uid, stat.gid, stat.isSymbolicLink() ? 0n : stat.mtimeNs]
  })

const runtime = JobManager.layer({ jobs: [Copy.job] }).pipe(
  Layer.provide(Layer.provide(Copy.layer, HardLinks.layerNone)),
  Layer.provide(Pools.layer({ io: 8 })),
  Layer.provide([MemoryJobStore.layer, OwnerLiveness.layerBlind])
)

/** How it is copied. */
type How = Pick<
  Copy.Request,
  "checksums" | "conflict" | "dereference" | "durable" | "preserve" | "rules" | "verify"
>

const copyIn = Effect.fnUntraced(function*(from: string, to: string, how: How) {
  const manager = yield* JobManager.JobManager
  const payload = yield* Copy.plan({
    sources: [FilePath.make(from)],
    destination: FilePath.make(to),
    noTargetDirectory: true,
    ...how
  })
  const handle = yield* manager.start(Copy.job, payload)
  yield* Effect.exit(handle.await)
  const { tally, units } = yield* manager.progress(handle.id)
  const rows = yield* Stream.runCollect(manager.outcomes(handle.id))
  const skipped = rows.filter(({ outcome }) => outcome._tag === "Skipped")
  return {
    state: (yield* manager.get(handle.id)).state._tag,
    tally: { ...tally, units: {} },
    bytes: units["bytes"] ?? 0,
    checksums: rows.flatMap(CopyChecksum.fromRow).map(({ digest, path }) => [path.slice(to.length), digest].join(" "))
      .toSorted(),
    skipped: skipped.map(({ key, outcome }) => [path.basename(key), ...skipOf(outcome)].join(" ")).toSorted()
  }
})

/** Why it was skipped, and how much that was. */
const skipOf = (outcome: Outcome) =>
  outcome._tag === "Skipped"
    ? [Object.entries(SkipReason).find(([, reason]) => reason === outcome.reason)?.[0] ?? "Unopened", outcome.count]
    : []

/** Calls are quick, and something is done with folders once they are measured. */
const measured = (act: (folder: string) => void): Layer.Layer<never> => {
  const measuring = (files: Files.Files["Service"]): Files.Files["Service"] => ({
    ...files,
    atOnce: (work, isNeeded) => {
      let opened = ""
      const watching = files.atOnce((calls, mayGoOn) =>
        work({
          ...calls,
          openPath: (path, mode) => {
            opened = path
            return calls.openPath(path, mode)
          }
        }, mayGoOn), isNeeded)
      return Effect.tap(watching, () => Effect.sync(() => act(opened)))
    }
  })
  return Layer.effect(
    QuickFiles,
    Effect.map(QuickFiles, (quick) => ({
      ...quick,
      throughout: (paths) => Effect.map(quick.throughout(paths), Option.map(measuring))
    }))
  ).pipe(Layer.provide(SystemFiles.layerQuick))
}

/** Copies, one by one where calls are quick nowhere. */
const copy = (from: string, to: string, quick: Layer.Layer<never>, how: How = { conflict: "changed" }) =>
  Effect.provide(copyIn(from, to, how), Layer.provideMerge(runtime, quick))

/** By the time that folders are to be copied, calls are slow. */
const slow = Effect.updateService(Files.Files, (files) => ({ ...files, atOnce: () => Effect.succeedNone }))

/** What is asked for beside. */
const asks = {
  checksums: { checksums: { algorithm: "sha256" } },
  dereference: { dereference: true },
  durable: { durable: true },
  nothing: {},
  verify: { verify: true }
} as const

const Asked = Schema.Literals(["checksums", "dereference", "durable", "nothing", "verify"])
const Preserved = Schema.Literals(["usual", "owner"])
const Rules = Schema.Array(
  Schema.Literals(["a", "b/", "top/c", "/top/folder", "*.again", "!a", "a/b", "**/c/*", "!**/c/a", "\u00e9"])
)

describe("folders that are copied with all that is in them", () => {
  it.effect.prop(
    "come to what they come to one by one, for any tree, also where it is there in part",
    { tree: Tree, more: Tree, conflict: Conflict.Mode, preserved: Preserved, rules: Rules, asked: Asked },
    ({ asked, conflict, more, preserved, rules, tree }) =>
      Effect.gen(function*() {
        const at = yield* testFolder
        fs.mkdirSync(`${at}/from/top`, { recursive: true })
        plant(`${at}/from/top`, tree, { seconds: 0 })
        const how = {
          conflict,
          rules: rules.map((rule) => Filter.Rule.make(rule)),
          ...asks[asked],
          ...preserved === "owner" ? { preserve: ["mode", "times", "owner"] as const } : {}
        }
        const each = slow(copy(`${at}/from`, `${at}/each`, Layer.empty, how))
        const together = copy(`${at}/from`, `${at}/together`, SystemFiles.layerQuick, how)
        const others = {
          files: copy(`${at}/from`, `${at}/files`, Layer.empty, how),
          listed: slow(copy(`${at}/from`, `${at}/listed`, SystemFiles.layerQuick, how)),
          together
        }

        const first = yield* each
        for (const [name, copied] of Object.entries(others)) {
          assert.deepStrictEqual(yield* copied, first, name)
          assert.deepStrictEqual(look(`${at}/${name}`), look(`${at}/each`), name)
        }

        const source = look(`${at}/from`)
        fs.mkdirSync(`${at}/from/top/more`)
        plant(`${at}/from/top/more`, more, { seconds: 500 })
        fs.writeFileSync(`${at}/elsewhere`, "of somebody else")
        disturb(`${at}/from/top`, [`${at}/each/top`, `${at}/together/top`], `${at}/elsewhere`)
        const second = [yield* each, yield* together]
        assert.deepStrictEqual(second[1], second[0])
        assert.deepStrictEqual(look(`${at}/together`), look(`${at}/each`))
        assert.isAtLeast(look(`${at}/from`).length, source.length)
        assert.strictEqual(fs.readFileSync(`${at}/elsewhere`, "utf8"), "of somebody else")
      }).pipe(Effect.scoped, Effect.provide(SystemFiles.layerBlocking)),
    { arbitrary: { runs: runs(40) } }
  )

  it.effect.each(["content", "names"])(
    "are copied by others where the flush of their %s fails",
    (what) =>
      Effect.gen(function*() {
        const at = yield* testFolder
        fs.mkdirSync(`${at}/from/a/b`, { recursive: true })
        for (const name of ["a/1", "a/b/2"]) fs.writeFileSync(`${at}/from/${name}`, name)
        let filled = false
        let flushes = 0
        const seen: Array<boolean> = []
        let lists = 0
        const faulty = FaultyFiles.failing("EIO", (call, path) => {
          if (call === "scandir" && path === `${at}/from/a`) lists++
          if (call === "syncfs" && filled) {
            flushes++
            seen.push(fs.existsSync(`${at}/to/a`))
          }
          return call === "syncfs" && flushes === (what === "content" ? 1 : 2)
        })
        const failing = (files: Files.Files["Service"]): Files.Files["Service"] => ({
          ...FaultyFiles.intercept(files, faulty),
          atOnce: (work, isNeeded) => Effect.tap(files.atOnce(work, isNeeded), () => Effect.sync(() => filled = true))
        })
        const copied = copy(`${at}/from`, `${at}/to`, SystemFiles.layerQuick, { conflict: "changed", durable: true })

        const { state, tally } = yield* Effect.updateService(copied, Files.Files, failing)

        assert.isAtLeast(flushes, 3)
        assert.strictEqual(lists, 1)
        assert.deepStrictEqual(seen.slice(0, 2), [false, true])
        assert.deepStrictEqual([state, tally.done, tally.failed], ["Completed", 8, 0])
        assert.deepStrictEqual(look(`${at}/to`), look(`${at}/from`))
      }).pipe(Effect.scoped, Effect.provide(SystemFiles.layerBlocking))
  )

  it.effect("are told of where something in them was gone before it was listed, by how much it was", () =>
    Effect.gen(function*() {
      const at = yield* testFolder
      for (const name of ["few/below", "gone", "many/below", "same"]) {
        fs.mkdirSync(`${at}/from/${name}`, { recursive: true })
        for (let i = 0; i < 5; i++) fs.writeFileSync(`${at}/from/${name}/${i}`, "")
      }
      const lose = (folder: string): void => {
        if (folder.endsWith("few")) fs.rmSync(`${folder}/below/3`)
        if (folder.endsWith("many")) fs.rmSync(`${folder}/below`, { recursive: true })
        if (folder.endsWith("gone")) fs.rmSync(folder, { recursive: true })
      }

      const { skipped, state, tally } = yield* copy(`${at}/from`, `${at}/to`, measured(lose))

      assert.deepStrictEqual(skipped, [
        "few VanishedInside 1",
        "gone Unopened 1",
        "gone Vanished 1",
        "many VanishedInside 7"
      ])
      assert.deepStrictEqual([state, tally.failed, tally.skipped], ["Completed", 0, 10])
      assert.deepStrictEqual(look(`${at}/to`), look(`${at}/from`))
    }).pipe(Effect.scoped, Effect.provide(SystemFiles.layerBlocking)))

  it.effect("are copied without what is left out, also where it comes only once they are measured", () =>
    Effect.gen(function*() {
      const at = yield* testFolder
      fs.mkdirSync(`${at}/from/a/b`, { recursive: true })
      for (const name of ["a/1", "a/b/2", "a/b/.env"]) fs.writeFileSync(`${at}/from/${name}`, name)
      const come = (folder: string): void => {
        if (!folder.endsWith("/a")) return
        fs.writeFileSync(`${folder}/.env`, "secret")
        fs.mkdirSync(`${folder}/b/node_modules`, { recursive: true })
      }
      const rules = [".env", "node_modules/"].map((rule) => Filter.Rule.make(rule))

      for (const to of ["whole", "listed"]) {
        const copied = copy(`${at}/from`, `${at}/${to}`, measured(come), { conflict: "changed", rules })
        const { tally } = yield* to === "listed" ? slow(copied) : copied
        assert.deepStrictEqual([tally.done, tally.failed, tally.skipped], [8, 0, 0])
        const names = fs.readdirSync(`${at}/${to}`, { recursive: true, encoding: "utf8" }).toSorted()
        assert.deepStrictEqual(names, ["a", "a/1", "a/b", "a/b/2"])
      }
    }).pipe(Effect.scoped, Effect.provide(SystemFiles.layerBlocking)))
})
