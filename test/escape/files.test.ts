import { describeWay, useStage } from './harness.ts';

const stage = useStage();
describeWay('files', stage);
