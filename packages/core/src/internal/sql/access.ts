/**
 * How the store uses its connection, and the caller's where both look at the same database.
 *
 * Every operation is tried again while somebody else has the database locked, or while it can't be reached, and fails
 * with a `StorageFailure` then. Only what may have been committed is not: to do it twice could be worse.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as SqlClient from "effect/sql/SqlClient"
import { isSqlError, LockTimeoutError, SqlError } from "effect/sql/SqlError"
import type { Fragment } from "effect/sql/Statement"
import type * as Errors from "../../JobStoreError.ts"
import { PassedOver } from "../store/passed.ts"
import * as Rows from "../store/rows.ts"
import * as Dialect from "./dialect.ts"
import { decoded, type Statements, storageFailure } from "./queries.ts"

/** Failure of an effect that the caller has put into a transaction of the store. */
class CallersCause<E> {
  readonly cause: Cause.Cause<E>

  constructor(cause: Cause.Cause<E>) {
    this.cause = cause
  }
}

/** The connection was lost while the transaction was being committed, so that nobody knows whether it was. */
class InDoubt {
  readonly error: SqlError

  constructor(error: SqlError) {
    this.error = error
  }
}

/** Waits 5 ms at first, at most half a second, and gives up after half a minute. */
export const whileBusy = Schedule.min([Schedule.exponential("5 millis"), Schedule.spaced("500 millis")]).pipe(
  Schedule.jittered,
  Schedule.upTo({ duration: "30 seconds" })
)

/** What may pass by itself. */
const passing: ReadonlySet<Errors.StorageFailure["problem"]> = new Set(["Busy", "Unreachable"])

/** Fails so that the operation is tried again: what it met is gone by now. */
export const again = (message: string): Effect.Effect<never, SqlError> =>
  Effect.fail(new SqlError({ reason: new LockTimeoutError({ cause: message, message }) }))

export class SqlAccess {
  readonly sql: SqlClient.SqlClient
  readonly dialect: Dialect.Dialect
  /** Numbers of jobs whose rows can't be read. */
  readonly unreadable = new PassedOver<string>()
  /** Id of the store, known once its tables are there. */
  storeId = ""
  /** Transaction services of clients that have proved to look at the store's database. */
  private readonly sharing = new WeakSet<object>()

  constructor(client: SqlClient.SqlClient) {
    this.sql = client.withoutTransforms()
    this.dialect = Dialect.of(this.sql)
  }

  isOneOf(column: string, values: Iterable<string>): Fragment {
    return this.dialect.isOneOf(this.sql.literal(column), Array.from(values, Rows.toText))
  }

  /** Runs one operation that gives rows. */
  read<A>(
    operation: string,
    rows: Effect.Effect<ReadonlyArray<object>, SqlError>,
    decode: (row: object) => A
  ): Effect.Effect<ReadonlyArray<A>, Errors.JobStoreError> {
    return this.run(operation, decoded(operation, rows, decode))
  }

  /**
   * Runs statements, the first of which has to write, in one transaction. Where they violate a unique index,
   * `onDuplicate` runs instead, after they were undone.
   */
  transaction<A>(
    operation: string,
    statements: Statements<A>,
    onDuplicate?: Statements<A>
  ): Effect.Effect<A, Errors.JobStoreError> {
    const isDuplicate = (error: unknown) => isSqlError(error) && error.reason._tag === "UniqueViolation"
    const atomic = this.atomically(this.sql, statements)
    return this.run(operation, onDuplicate ? Effect.catchIf(atomic, isDuplicate, () => onDuplicate) : atomic)
  }

  /** Runs an effect of the caller's at the end of such a transaction, as a part of it. */
  transactionWith<A, E, R>(
    operation: string,
    statements: Statements<A>,
    onCommit: Effect.Effect<void, E, R>
  ): Effect.Effect<A, Errors.JobStoreError | E, R> {
    return Effect.withFiber((fiber) => {
      const settings = settingsOf(fiber)
      const client = this.callersClient(fiber)
      return Effect.flatMap(
        client === undefined ? Effect.succeed(false) : this.isShared(client, this.looksAtStore(client)),
        (same) => {
          const lent = same && client !== undefined ? this.lend(client, onCommit) : onCommit
          const wrapped = Effect.catchCause(
            withSettings(lent, settings),
            (cause) => Effect.fail(new CallersCause(cause))
          )
          return this.run<A, E, R>(operation, this.atomically(this.sql, Effect.tap(statements, wrapped)))
        }
      )
    })
  }

  /** Runs statements in the transaction that the caller has open on the store's database, or in one of their own. */
  joinTransaction<A>(operation: string, statements: Statements<A>): Effect.Effect<A, Errors.JobStoreError> {
    const own = this.transaction(operation, statements)
    return Effect.withFiber((fiber) => {
      const client = this.callersClient(fiber)
      if (client === undefined || Option.isNone(Context.getOption(fiber.context, client.transactionService))) return own
      const joined = Effect.flatMap(
        this.isShared(client, this.dialect.lockStore(this.storeId)),
        (same) => same ? Effect.asSome(statements) : Effect.succeedNone
      )
      const lent = handOver(joined, client.transactionService, this.sql.transactionService)
      return Effect.flatMap(
        this.run(operation, this.atomically(client, lent), client.transactionService),
        Option.match({ onNone: () => own, onSome: Effect.succeed })
      )
    })
  }

  /** Client in the caller's context, where it could be one of the store's database. */
  private callersClient(fiber: Fiber.Fiber<unknown, unknown>): SqlClient.SqlClient | undefined {
    const client = Option.getOrUndefined(Context.getOption(fiber.context, SqlClient.SqlClient))
    return client !== undefined && Dialect.kind(client) === Dialect.kind(this.sql) ? client : undefined
  }

  /** Whether a client looks at the store's database. Once it does, nothing has to be asked. */
  private isShared<E>(client: SqlClient.SqlClient, asked: Effect.Effect<boolean, E>): Effect.Effect<boolean, E> {
    if (this.sharing.has(client.transactionService)) return Effect.succeed(true)
    return Effect.map(asked, (same) => {
      if (same) this.sharing.add(client.transactionService)
      return same
    })
  }

  private looksAtStore(client: SqlClient.SqlClient): Effect.Effect<boolean> {
    const sql = client.withoutTransforms()
    return Dialect.of(sql).hasTable("fanout_store").pipe(
      Effect.flatMap((exists) => exists ? sql`select id from fanout_store` : Effect.succeed([])),
      Effect.map(([store]) => store?.["id"] === this.storeId),
      // It is none of the store's business that another database can't be read.
      Effect.orElseSucceed(() => false)
    )
  }

  /**
   * Lets a client of the same database run on the connection that holds the transaction: on its own it would wait
   * for a lock that is only given back after it.
   */
  private lend<A, E, R>(client: SqlClient.SqlClient, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    const { sql } = this
    const onLoan = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
      handOver(effect, sql.transactionService, client.transactionService)
    const withTransaction: SqlClient.SqlClient["withTransaction"] = (effect) => sql.withTransaction(onLoan(effect))
    const lent = new Proxy(client, {
      get: (target, key) => key === "withTransaction" ? withTransaction : Reflect.get(target, key)
    })
    return onLoan(Effect.provideService(effect, SqlClient.SqlClient, lent)) as Effect.Effect<A, E, R>
  }

  /** Runs one operation. */
  run<A, E = never, R = never>(
    operation: string,
    effect: Effect.Effect<A, SqlError | Errors.JobStoreError | CallersCause<E> | InDoubt, R>,
    within: TransactionService = this.sql.transactionService
  ): Effect.Effect<A, Errors.JobStoreError | E, R> {
    return Effect.withFiber((fiber) => {
      const { dialect } = this
      // Nothing is gained by trying again in a transaction that can't be begun again.
      const isInside = Option.isSome(Context.getOption(fiber.context, within))
      const canPass = (error: SqlError) =>
        passing.has(dialect.problem(error)) && !(isInside && dialect.needsNewTransaction(error))
      const failure = (error: SqlError) => storageFailure(operation, dialect.problem(error), error.reason.cause)
      return withSettings(effect, { integers: false, begin: dialect.begin }).pipe(
        Effect.retry({ schedule: whileBusy, while: (error) => isSqlError(error) && canPass(error) }),
        Effect.catch((error): Effect.Effect<never, Errors.JobStoreError | E> => {
          if (error instanceof CallersCause) return Effect.failCause(error.cause)
          if (error instanceof InDoubt) return Effect.fail(failure(error.error))
          return Effect.fail(isSqlError(error) ? failure(error) : error)
        })
      )
    })
  }

  /**
   * Runs an effect in a transaction of a client, and keeps its failure where that can't be rolled back: the database
   * has then done so itself, as it does on a full disk or where the connection is lost, and some drivers die of it.
   */
  private atomically<A, E, R>(
    client: SqlClient.SqlClient,
    effect: Effect.Effect<A, E, R>
  ): Effect.Effect<A, E | SqlError | InDoubt, R> {
    return Effect.suspend(() => {
      let exit: Exit.Exit<A, E> | undefined
      const remembered = Effect.onExit(effect, (own) =>
        Effect.sync(() => {
          exit = own
        }))
      type Failed = Effect.Effect<never, E | SqlError | InDoubt>
      return Effect.catchCause(client.withTransaction(remembered), (cause): Failed => {
        const died = cause.reasons.filter(Cause.isDieReason).map((reason) => reason.defect).find(isSqlError)
        if (exit?._tag === "Failure") return Effect.failCause(died === undefined ? cause : exit.cause)
        const error = died ?? Option.getOrUndefined(Cause.findErrorOption(cause))
        if (!isSqlError(error)) return Effect.failCause(cause)
        const isInDoubt = exit !== undefined && this.dialect.problem(error) === "Unreachable"
        return Effect.fail(isInDoubt ? new InDoubt(error) : error)
      })
    })
  }
}

/** The caller's may be others, and would reach the store's statements too. */
interface Settings {
  readonly integers: boolean
  readonly begin: string | undefined
}

const settingsOf = (fiber: Fiber.Fiber<unknown, unknown>): Settings => ({
  integers: fiber.getRef(SqlClient.SafeIntegers),
  begin: fiber.getRef(SqlClient.BeginTransaction)
})

const withSettings = <A, E, R>(effect: Effect.Effect<A, E, R>, { begin, integers }: Settings) =>
  Effect.withFiber<A, E, R>((fiber) => {
    const current = settingsOf(fiber)
    if (current.begin === begin && current.integers === integers) return effect
    return effect.pipe(
      Effect.provideService(SqlClient.SafeIntegers, integers),
      Effect.provideService(SqlClient.BeginTransaction, begin)
    )
  })

type TransactionService = SqlClient.SqlClient["transactionService"]

/** Runs an effect with one client's open transaction as another's too. */
const handOver = <A, E, R>(effect: Effect.Effect<A, E, R>, from: TransactionService, to: TransactionService) =>
  Effect.withFiber<A, E, R>((fiber) =>
    Effect.provideService(effect, to, Context.getUnsafe(fiber.context, from)) as Effect.Effect<A, E, R>
  )
