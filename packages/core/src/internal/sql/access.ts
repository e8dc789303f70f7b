/**
 * Runs the operations of the store on its connection, or on the caller's connection to the same database.
 *
 * An operation is tried again while somebody else has the database locked, or while the database can't be reached. Then
 * the operation fails with a `StorageFailure`. An operation that may have been committed is never run twice.
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
import type { JobId } from "../../JobId.ts"
import * as Errors from "../../JobStoreError.ts"
import { Apart } from "../store/apart.ts"
import { PassedOver } from "../store/passed.ts"
import * as Rows from "../store/rows.ts"
import * as Dialect from "./dialect.ts"
import { decoded, failWith, firstOr, isStore, type Statements, storageFailure } from "./queries.ts"

/** Failure of the `onCommit` of a caller, which is neither tried again nor changed. */
class CallersCause<E> {
  readonly cause: Cause.Cause<E>

  constructor(cause: Cause.Cause<E>) {
    this.cause = cause
  }
}

/** Waits 5 ms at first, at most half a second, and gives up after half a minute. */
export const whileBusy = Schedule.min([Schedule.exponential("5 millis"), Schedule.spaced("500 millis")]).pipe(
  Schedule.jittered,
  Schedule.upTo({ duration: "30 seconds" })
)

/** Problems that can go away without anybody doing anything. */
const passing: ReadonlySet<Errors.StorageFailure["problem"]> = new Set(["Busy", "Unreachable"])

/** Fails so that the operation is tried again, because the obstacle is gone by now. */
export const again = (message: string): Effect.Effect<never, SqlError> =>
  Effect.fail(new SqlError({ reason: new LockTimeoutError({ cause: message, message }) }))

export class SqlAccess {
  readonly sql: SqlClient.SqlClient
  readonly dialect: Dialect.Dialect
  /** The `seq` of jobs whose rows can't be read. */
  readonly unreadable = new PassedOver<string>()
  /** Id of the store, which is known once the tables exist. */
  storeId = ""
  /** How many listen in this process to what is told of changes, and how often they have heard something. */
  readonly hearing = { listeners: 0, times: 0 }
  /** Is called after each commit that other processes should hear of. */
  tell = (): void => {}
  /** Transaction services of clients that are known to use the store's database. */
  private readonly sharing = new WeakSet<object>()
  private readonly apart = new Apart()
  private readonly settings: Context.Context<never>

  constructor(client: SqlClient.SqlClient) {
    this.sql = client.withoutTransforms()
    this.dialect = Dialect.of(this.sql)
    this.settings = settings(false, this.dialect.begin)
  }

  isOneOf(column: string, values: Iterable<string>): Fragment {
    return this.dialect.isOneOf(this.sql.literal(column), Array.from(values, Rows.toText))
  }

  /** Runs one operation that reads rows. */
  read<A, R extends object>(
    operation: string,
    rows: Effect.Effect<ReadonlyArray<R>, SqlError>,
    decode: (row: R) => A
  ): Effect.Effect<ReadonlyArray<A>, Errors.JobStoreError> {
    return this.run(operation, decoded(operation, rows, decode))
  }

  /**
   * Runs statements in one transaction. The first statement has to write. If a statement violates a unique index, the
   * transaction is rolled back, and `onDuplicate` runs instead.
   */
  transaction<A>(
    operation: string,
    statements: Statements<A>,
    onDuplicate?: Statements<A>
  ): Effect.Effect<A, Errors.JobStoreError> {
    const isDuplicate = (error: unknown) => isSqlError(error) && error.reason._tag === "UniqueViolation"
    const atomic = this.atomically(operation, this.sql, statements)
    return this.run(operation, onDuplicate ? Effect.catchIf(atomic, isDuplicate, () => onDuplicate) : atomic)
  }

  /** Runs a transaction that changes jobs or schedules, and tells other processes of the change. */
  change<A>(
    operation: string,
    statements: Statements<A>,
    onDuplicate?: Statements<A>
  ): Effect.Effect<A, Errors.JobStoreError> {
    return Effect.withFiber(({ context }) =>
      Option.isSome(Context.getOption(context, this.sql.transactionService))
        ? this.transaction(operation, Effect.tap(statements, this.notify), onDuplicate)
        : Effect.tap(this.transaction(operation, statements, onDuplicate), () => Effect.sync(() => this.tell()))
    )
  }

  /** Tells other processes of a change once the open transaction, if any, is committed. */
  get notify(): Effect.Effect<unknown, SqlError> {
    return this.dialect.notify(this.storeId)
  }

  /** Runs statements in one transaction, and `onCommit` of the caller at the end of the same transaction. */
  transactionWith<A, E, R>(
    operation: string,
    statements: Statements<A>,
    onCommit: Effect.Effect<void, E, R>
  ): Effect.Effect<A, Errors.JobStoreError | E, R> {
    return Effect.withFiber((fiber) => {
      const client = this.callersClient(fiber)
      // The caller's settings can differ from the store's.
      const callersSettings = settings(fiber.getRef(SqlClient.SafeIntegers), fiber.getRef(SqlClient.BeginTransaction))
      const shared = client === undefined ? Effect.succeed(false) : this.isShared(client, this.looksAtStore(client))
      return Effect.flatMap(shared, (shared) => {
        const lent = shared && client !== undefined ? this.lend(client, onCommit) : onCommit
        const wrapped = Effect.catchCause(
          Effect.provideContext(lent, callersSettings),
          (cause) => Effect.fail(new CallersCause(cause))
        )
        const run = this.run<A, E, R>(operation, this.atomically(operation, this.sql, Effect.tap(statements, wrapped)))
        return shared ? run : Effect.andThen(this.apart.warn, run)
      })
    })
  }

  /**
   * Runs statements in the transaction that the caller has open on the store's database, or in a new one. Fails where
   * the innermost transaction of the caller is another one.
   */
  joinTransaction<A>(operation: string, statements: Statements<A>): Effect.Effect<A, Errors.JobStoreError> {
    return Effect.withFiber((fiber) => {
      const innermost = this.otherTransaction(fiber)
      if (innermost === undefined) return this.change(operation, statements)
      const client = this.callersClient(fiber)
      if (client?.transactionService !== innermost) return failWith(new Errors.OtherTransaction({}))
      const joined = Effect.flatMap(
        this.isShared(client, this.dialect.lockStore(this.storeId)),
        (shared) => shared ? Effect.tap(statements, this.notify) : failWith(new Errors.OtherTransaction({}))
      )
      const lent = handOver(joined, client.transactionService, this.sql.transactionService)
      return this.run(operation, this.atomically(operation, client, lent), client.transactionService)
    })
  }

  /** Runs statements in a new transaction. Fails within one of the caller, whose lock the statements may wait for. */
  changeApart<A>(operation: string, statements: Statements<A>): Effect.Effect<A, Errors.JobStoreError> {
    return Effect.withFiber((fiber) =>
      this.otherTransaction(fiber) === undefined
        ? this.change(operation, statements)
        : failWith(new Errors.OtherTransaction({}))
    )
  }

  /** The innermost open transaction of the caller, unless it is one of the store. */
  private otherTransaction(fiber: Fiber.Fiber<unknown, unknown>): TransactionService | undefined {
    const innermost = fiber.getRef(Innermost)
    return innermost === this.sql.transactionService ? undefined : innermost
  }

  /** Reads one job. Fails with `JobNotFound`, which says if the caller has a transaction open. */
  readJob<A, R extends object>(
    id: JobId,
    operation: string,
    rows: Effect.Effect<ReadonlyArray<R>, SqlError>,
    decode: (row: R) => A
  ): Effect.Effect<A, Errors.JobStoreError> {
    return Effect.withFiber((fiber) => {
      const isInside = this.otherTransaction(fiber) !== undefined
      return firstOr(
        this.read(operation, rows, decode),
        () => new Errors.JobNotFound({ id, ...isInside ? { inTransaction: true } : {} })
      )
    })
  }

  /** Finds the client in the caller's context, if its database is of the same kind as the store's. */
  private callersClient(fiber: Fiber.Fiber<unknown, unknown>): SqlClient.SqlClient | undefined {
    const client = Option.getOrUndefined(Context.getOption(fiber.context, SqlClient.SqlClient))
    return client !== undefined && Dialect.kind(client) === Dialect.kind(this.sql) ? client : undefined
  }

  /** Tells whether a client uses the store's database. After the first yes, `asked` is not run any more. */
  private isShared<E>(client: SqlClient.SqlClient, asked: Effect.Effect<boolean, E>): Effect.Effect<boolean, E> {
    if (this.sharing.has(client.transactionService)) return Effect.succeed(true)
    return Effect.map(asked, (shared) => {
      if (shared) this.sharing.add(client.transactionService)
      return shared
    })
  }

  private looksAtStore(client: SqlClient.SqlClient): Effect.Effect<boolean> {
    const sql = client.withoutTransforms()
    return isStore(sql, Dialect.of(sql).hasTable, this.storeId).pipe(
      // If another database can't be read, that does not concern the store.
      Effect.orElseSucceed(() => false)
    )
  }

  /**
   * Lets a client of the same database run on the connection that has the transaction open. On its own connection the
   * client would wait for a lock that the transaction holds until its end.
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

  /** Runs one operation, and tries again while the database is locked or can't be reached. */
  run<A, E = never, R = never>(
    operation: string,
    effect: Effect.Effect<A, SqlError | Errors.JobStoreError | CallersCause<E>, R>,
    within: TransactionService = this.sql.transactionService
  ): Effect.Effect<A, Errors.JobStoreError | E, R> {
    return Effect.withFiber((fiber) => {
      const { dialect } = this
      // Inside a transaction, an error that only a new transaction can get around would come again.
      const isInside = Option.isSome(Context.getOption(fiber.context, within))
      const canPass = (error: SqlError) =>
        passing.has(dialect.problem(error)) && !(isInside && dialect.needsNewTransaction(error))
      return Effect.provideContext(effect, this.settings).pipe(
        Effect.retry({ schedule: whileBusy, while: (error) => isSqlError(error) && canPass(error) }),
        Effect.catch((error): Effect.Effect<never, Errors.JobStoreError | E> => {
          if (error instanceof CallersCause) return Effect.failCause(error.cause)
          if (!isSqlError(error)) return Effect.fail(error)
          return Effect.fail(storageFailure(operation, dialect.problem(error), error.reason.cause))
        })
      )
    })
  }

  /**
   * Runs an effect in a transaction of a client. If the rollback fails, the effect's own failure is kept: the database
   * has rolled back by itself, as on a full disk or a lost connection, and some drivers die of the second rollback. If
   * the connection is lost during the commit, nobody knows whether the transaction was committed, and the operation
   * fails with an error that is not tried again.
   */
  private atomically<A, E, R>(
    operation: string,
    client: SqlClient.SqlClient,
    effect: Effect.Effect<A, E, R>
  ): Effect.Effect<A, E | SqlError | Errors.JobStoreError, R> {
    return Effect.suspend(() => {
      let exit: Exit.Exit<A, E> | undefined
      const remembered = Effect.onExit(effect, (own) =>
        Effect.sync(() => {
          exit = own
        }))
      type Failed = Effect.Effect<never, E | SqlError | Errors.JobStoreError>
      return Effect.catchCause(client.withTransaction(remembered), (cause): Failed => {
        const died = cause.reasons.filter(Cause.isDieReason).map((reason) => reason.defect).find(isSqlError)
        if (exit?._tag === "Failure") return Effect.failCause(died === undefined ? cause : exit.cause)
        const error = died ?? Option.getOrUndefined(Cause.findErrorOption(cause))
        if (!isSqlError(error)) return Effect.failCause(cause)
        const isInDoubt = exit !== undefined && this.dialect.problem(error) === "Unreachable"
        return Effect.fail(isInDoubt ? storageFailure(operation, "Unreachable", error.reason.cause) : error)
      })
    })
  }
}

/** Settings of a client: whether large integers are read as bigints, and the statement that begins a transaction. */
const settings = (integers: boolean, begin: string | undefined): Context.Context<never> =>
  Context.make(SqlClient.SafeIntegers, integers).pipe(Context.add(SqlClient.BeginTransaction, begin))

/** The service of the innermost open transaction, which `SqlClient` keeps in the context under this name. */
const Innermost = Context.Reference<TransactionService | undefined>("effect/sql/CurrentTransactionService", {
  defaultValue: () => undefined
})

type TransactionService = SqlClient.SqlClient["transactionService"]

/** Runs an effect with the open transaction of one client as the open transaction of another client, too. */
const handOver = <A, E, R>(effect: Effect.Effect<A, E, R>, from: TransactionService, to: TransactionService) =>
  Effect.withFiber<A, E, R>((fiber) =>
    Effect.provideService(effect, to, Context.getUnsafe(fiber.context, from)) as Effect.Effect<A, E, R>
  )
