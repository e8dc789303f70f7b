/**
 * What S3 needs of AWS's libraries. The command has it in a file of its own, which it loads for the first address.
 */
export { fromEnv } from "@aws-sdk/credential-provider-env"
export { defaultProvider } from "@aws-sdk/credential-provider-node"
export { parseXML } from "@aws-sdk/xml-builder"
export { loadSharedConfigFiles } from "@smithy/shared-ini-file-loader"
export { SignatureV4 } from "@smithy/signature-v4"
