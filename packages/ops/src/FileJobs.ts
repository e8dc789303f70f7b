/**
 * Runs the file jobs on the files of this machine, as fast as it can: where calls are quick the thread that the jobs
 * are on makes them itself, and once there is much to do threads of their own take part.
 *
 * What the jobs have to remember beside what the store does, hard links and digests, is in its database.
 */
import type * as Job from "@fanout/core/Job"
import type { JobId } from "@fanout/core/JobId"
import type { JobStoreError } from "@fanout/core/JobStoreError"
import { layerSqlClient } from "@fanout/core/node"
import type * as Task from "@fanout/core/Task"
import { layerThreads, type ThreadsUnavailable } from "@fanout/core/threads"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as SqlClient from "effect/sql/SqlClient"
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as os from "node:os"
import * as path from "node:path"
import { pathToFileURL } from "node:url"
import * as Copy from "./Copy.ts"
import type { CopyOptions } from "./CopyOptions.ts"
import * as Delete from "./Delete.ts"
import * as FilePath from "./FilePath.ts"
import * as Files from "./Files.ts"
import type { FilesError } from "./FilesError.ts"
import * as FileThread from "./FileThread.ts"
import * as HardLinks from "./HardLinks.ts"
import * as Hash from "./Hash.ts"
import * as HashCheck from "./HashCheck.ts"
import * as CopyEntryLive from "./internal/copy/copyEntryLive.ts"
import * as DeleteBatchLive from "./internal/delete/deleteBatchLive.ts"
import * as DeleteOneLive from "./internal/delete/deleteOneLive.ts"
import * as HashTaskLive from "./internal/hash/hashTaskLive.ts"
import * as SqlHashCache from "./internal/hash/sqlHashCache.ts"
import type * as Objects from "./internal/objects/objectJobs.ts"
import * as VerifyEntryLive from "./internal/verify/verifyEntryLive.ts"
import * as Move from "./Move.ts"
import type { ObjectStores } from "./ObjectStore.ts"
import * as SystemFiles from "./SystemFiles.ts"
import * as Trash from "./Trash.ts"
import * as Verify from "./Verify.ts"

/**
 * The jobs.
 *
 * @category models
 */
export const jobs = [Copy.job, Delete.job, Hash.job, HashCheck.job, Move.job, Verify.job] as const

/**
 * Their programs.
 *
 * @category models
 */
export type Programs = Job.ToProgram<(typeof jobs)[number]>

/**
 * What the jobs need of a database and of threads.
 *
 * @category models
 */
export interface Resources {
  /** Client of the store's database. It is built for a job that keeps hard links or digests, and closed with it. */
  readonly client: Layer.Layer<SqlClient.SqlClient, JobStoreError>
  /** So many threads at most. They are built once a job has something for them, and end with it. */
  readonly threads: (count: number) => Layer.Layer<Task.Handler<FileThread.Task>, ThreadsUnavailable>
  /**
   * Workers of a cluster, in place of threads. Threads still do what has to be done on the machine of the job: moves,
   * deletions, copies that are durable, verified or follow links, checks by checksum files, and what keeps digests.
   */
  readonly workers?: Layer.Layer<Task.Handler<FileThread.Task>>
  /** Object stores that addresses in the place of paths lead to; those of S3 by default. They are built when needed. */
  readonly stores?: Layer.Layer<ObjectStores>
  /** Why this process does not run a job that works on these paths, if it does not; see `Job.toLayer`. */
  readonly refuse?: (paths: ReadonlyArray<FilePath.FilePath>) => Effect.Effect<Option.Option<Job.Refusal>>
}

const cores = os.availableParallelism()

/** Enough for all workers of a cluster to have something: how much is begun, the pool of the job bounds. */
const manyWorkers = 64

/** What a job works on. */
const pathsOf = {
  copy: Copy.pathsOf,
  delete: ({ roots }: Delete.Payload) => roots.map(({ path }) => path),
  hash: ({ sources }: Hash.Payload) => sources,
  hashCheck: (payload: HashCheck.Payload) => [payload.file, ...HashCheck.likelyPaths(payload)],
  verify: ({ a, b }: Verify.Payload) => [a, b]
}

/** Whether any machine may fill a copy: what waits to be flushed or read back is known to the machine that wrote it. */
const mayTravel = ({ isDurable, isFollowing, isVerified }: CopyOptions): boolean =>
  !isDurable && !isFollowing && !isVerified

/** Times between looks whether a store can be reached again: soon at first, and each minute in the end. */
const looks = Schedule.min([Schedule.exponential("5 seconds"), Schedule.spaced("1 minute")])

/** Does what jobs do with objects, which is loaded by a job that has some. */
const usingObjects = (stores: Resources["stores"]) => {
  const modules = Effect.promise(() => Promise.all([import("./internal/objects/objectJobs.ts"), import("./clouds.ts")]))
  return <A, E, R>(work: (objects: typeof Objects) => Effect.Effect<A, E, R | ObjectStores>) =>
    Effect.flatMap(modules, ([objects, { layer }]) => Effect.provide(work(objects), stores ?? layer()))
}

const areAddresses = (paths: ReadonlyArray<FilePath.FilePath>): boolean => paths.some(FilePath.isAddress)

/** Who works on what, by what there is for it. */
const sharesOf = (resources: Resources) => {
  const { refuse = () => Effect.succeedNone, stores, threads, workers } = resources
  const some = (count: number) => ({ layer: threads(count), count })
  // Those who share work with this thread where it does some of it to the end, and where all of it is theirs.
  const others = { beside: some(Math.max(1, cores - 1)), alone: some(cores) }
  const everywhere = workers === undefined ? undefined : { layer: workers, count: manyWorkers }
  const anywhere = everywhere === undefined ? others : { beside: everywhere, alone: everywhere }
  const useObjects = usingObjects(stores)
  /** How a job goes on by itself once stores answer that could not be reached, and where it does not run. */
  const settings = <P>(pathsOf: (payload: P) => ReadonlyArray<FilePath.FilePath>) => ({
    waits: {
      network: {
        until: (payload: P) => useObjects(({ isReachable }) => isReachable(pathsOf(payload))),
        schedule: looks
      }
    },
    // A machine that has none of the files may have the objects.
    refuse: (payload: P) => refuse(pathsOf(payload).filter((path) => !FilePath.isAddress(path)))
  })
  return { others, anywhere, useObjects, settings }
}

/** Copies and moves. */
const transfers = (
  client: Resources["client"],
  { anywhere, others, settings, useObjects }: ReturnType<typeof sharesOf>
) => {
  const links = ({ keeps }: CopyOptions) =>
    keeps.has("links") ? Layer.provide(HardLinks.layerSql, client) : HardLinks.layerNone
  const entries = (payload: Copy.Payload, options: CopyOptions) => {
    const helpers = mayTravel(options) && !options.isMove ? anywhere : others
    return Layer.merge(
      CopyEntryLive.layerShared(helpers.beside, { paths: pathsOf.copy(payload) }),
      links(options)
    )
  }
  const programOf =
    ({ optionsOf, program }: typeof Copy | typeof Move, name: "copy" | "move") => (payload: Copy.Payload) => {
      const options = optionsOf(payload.request)
      return areAddresses(pathsOf.copy(payload))
        ? Effect.provide(useObjects(({ [name]: ofObjects }) => ofObjects.program(payload)), links(options))
        : Effect.provide(program(payload), entries(payload, options))
    }
  const settingsOf = ({ onCancel }: typeof Copy | typeof Move, name: "copy" | "move") => ({
    onCancel: (payload: Copy.Payload, id: JobId, saved: Job.Saved) =>
      areAddresses(pathsOf.copy(payload))
        ? useObjects(({ [name]: ofObjects }) => ofObjects.onCancel(payload, id, saved))
        : onCancel(payload, id, saved),
    ...settings(pathsOf.copy)
  })
  return Layer.merge(
    Copy.job.toLayer(programOf(Copy, "copy"), settingsOf(Copy, "copy")),
    Move.job.toLayer(programOf(Move, "move"), settingsOf(Move, "move"))
  )
}

/**
 * Layer that supplies the programs of the jobs, with a database and threads of your own. What plans them needs the
 * file system, which it supplies too.
 *
 * **When to use**
 *
 * Use where the store is on another database than a SQLite file. Threads are then those of a module which calls
 * `FileThread.run` with a client of that database.
 *
 * @category layers
 */
export const layerWith = (resources: Resources): Layer.Layer<Programs | Files.Files> => {
  const { client } = resources
  const shares = sharesOf(resources)
  const { anywhere, others, settings, useObjects } = shares
  return Layer.mergeAll(
    transfers(client, shares),
    Delete.job.toLayer(
      (payload) => {
        const program = Effect.provide(
          Delete.program(payload),
          // What goes to the trash has nothing for threads to do.
          payload.request.trash ? DeleteBatchLive.layer : DeleteBatchLive.layerShared(others, payload)
        )
        return areAddresses(pathsOf.delete(payload))
          ? useObjects(({ deletion }) => Effect.provide(program, deletion.layer))
          : program
      },
      settings(pathsOf.delete)
    ).pipe(Layer.provide(DeleteOneLive.layer), Layer.provide(Trash.layer)),
    Hash.job.toLayer((payload) => {
      if (areAddresses(payload.sources)) return useObjects(({ hash }) => hash.program(payload))
      // A machine remembers digests for itself.
      const hashes = HashTaskLive.layerShared(payload.cache === true ? others : anywhere, { paths: payload.sources })
      return payload.cache === true
        ? Effect.provide(Hash.program(payload), Layer.provideMerge(hashes, Layer.provide(SqlHashCache.layer, client)))
        : Effect.provide(Hash.program(payload), hashes)
    }, settings(pathsOf.hash)),
    HashCheck.job.toLayer(
      (payload) =>
        areAddresses(pathsOf.hashCheck(payload))
          ? useObjects(({ hash }) => hash.check(payload))
          : Effect.provide(
            HashCheck.program(payload),
            HashTaskLive.layerSharedChecks(others, { paths: HashCheck.likelyPaths(payload) })
          ),
      settings(pathsOf.hashCheck)
    ),
    Verify.job.toLayer(
      (payload) =>
        areAddresses(pathsOf.verify(payload))
          ? useObjects(({ verify }) => verify.program(payload))
          : Effect.provide(
            Verify.program(payload),
            VerifyEntryLive.layerShared(anywhere, { paths: pathsOf.verify(payload) })
          ),
      settings(pathsOf.verify)
    )
  ).pipe(
    Layer.provide(SystemFiles.layerQuick),
    Layer.provideMerge(SystemFiles.layer)
  )
}

/**
 * Where the database of the jobs is, and what threads run.
 *
 * @category models
 */
export interface Options {
  /** The SQLite file that the store has, too. */
  readonly filename: string
  /** Module of your own that calls `FileThread.run`, for where a bundler leaves nothing of this package. */
  readonly module?: URL | undefined
}

/** What threads run is beside this module, or in the package that is installed where a bundler has put this one. */
const ownModule = (): URL => {
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js"
  const beside = new URL(`./internal/work/defaultThread.${extension}`, import.meta.url)
  if (fs.existsSync(beside)) return beside
  const manifest = createRequire(import.meta.url).resolve("@fanout/ops/package.json")
  return new URL("./dist/internal/work/defaultThread.js", pathToFileURL(manifest))
}

/** Without it jobs would take several times as long, and nobody be told. */
const findModule = ({ module }: Options): Effect.Effect<URL> =>
  Effect.orDie(Effect.try({
    try: () => {
      const found = module ?? ownModule()
      if (found.protocol === "file:" && !fs.existsSync(found)) throw new Error(`${found.href} is not there`)
      return found
    },
    catch: (cause) =>
      new Error("Threads of file jobs have nothing to run: name a module that calls FileThread.run", { cause })
  }))

/** What a thread keeps is small. V8 would give each of them 100 MiB for what is about to be thrown away. */
const resourceLimits = { maxYoungGenerationSizeMb: 24 }

/**
 * Layer that supplies the tasks of the jobs by so many threads at most. They look up digests in the file.
 *
 * @category layers
 */
export const threads = (
  options: Options,
  count: number
): Layer.Layer<Task.Handler<FileThread.Task>, ThreadsUnavailable> =>
  Layer.unwrap(
    Effect.map(findModule(options), (module) =>
      layerThreads(FileThread.Tasks, { module, size: count, resourceLimits, argv: [options.filename] }))
  )

/**
 * Layer that supplies the programs of the jobs, and the file system for what plans them.
 *
 * **Details**
 *
 * - A job opens the file once more if it keeps hard links, as moves do, or digests. That is never `":memory:"`, which
 *   would be another database for each.
 * - Threads are started by a job once there is much to do, as many as the machine runs at the same time, and end with
 *   it. Where none can be started it takes longer; checks of checksums then fail.
 * - Where a bundler makes one file of an application, threads still run what is installed of this package. Where
 *   nothing is, `module` names what the bundler has made of a module that calls `FileThread.run`.
 *
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<Programs | Files.Files> =>
  Layer.unwrap(Effect.gen(function*() {
    const { filename } = options
    if (filename === ":memory:") return yield* Effect.die(new Error("File jobs need a database that is a file"))
    const module = yield* findModule(options)
    return layerWith({
      client: layerSqlClient({ filename }),
      threads: (count) => threads({ filename, module }, count)
    })
  }))

/**
 * Files of the SQLite database of that name, for jobs to leave alone: read while they are written to, they would be of
 * no use, and a move or a deletion would take them from under the job. The database has to be there.
 *
 * @category accessors
 */
export const databaseFiles = (
  filename: string
): Effect.Effect<ReadonlyArray<FilePath.FilePath>, FilesError, Files.Files> =>
  Effect.map(
    Files.Files.use((files) => files.realPath(FilePath.make(path.resolve(filename)))),
    (real) => ["", "-wal", "-shm", "-journal"].map((end) => FilePath.make(real + end))
  )
